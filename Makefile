# make demo    the whole pipe on the shipped student; writes build/demo/ (DATA=file.tsv to use your own rows)
# make test    lint, type check, tests
# make conformance   the same NIR files in snnTorch, SpikingJelly, Norse and ONNX Runtime
# make train   a recipe from the raw data (DATA=folder laid out as the recipe says, or hub)
PYTHON := .venv/bin/python
SPIKEPORT := .venv/bin/spikeport
RECIPE ?= sst2
OUT ?= build/$@

.DEFAULT_GOAL := demo
.PHONY: demo test train conformance lint env lava-env lava-dl-env peers-env environments clean

demo: environments
	$(SPIKEPORT) demo --out $(OUT) $(if $(DATA),--data $(DATA))

test: environments lint
	@tools/setup.sh lava-dl --optional
	$(PYTHON) -m pytest

train: env
	tools/setup.sh env train augment minilm
	$(SPIKEPORT) distill $(OUT) --recipe $(RECIPE) --data $(or $(DATA),hub) $(if $(KEY),--key $(KEY),--demo-key)

# The same NIR files in other people's readers; writes docs/conformance.md.
conformance: env peers-env
	$(PYTHON) -m benchmarks.conformance

lint: env
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

env:
	@tools/setup.sh env dev train snntorch onnx sign augment plot

lava-env:
	@tools/setup.sh lava

# lava-dl's reader beside Lava: for tests and export lava-dl --check; make demo goes without.
lava-dl-env:
	@tools/setup.sh lava-dl

# For conformance and benchmarks/training_step.py only.
peers-env:
	@tools/setup.sh peers

# Both environments; Lava's only where Python 3.10 is to be had, with a message where it is not.
environments: env
	@tools/setup.sh lava --optional

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
