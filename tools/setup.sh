#!/usr/bin/env bash
# Sets up the virtual environments that `make` needs, and does nothing when they are up to date.
#
#   tools/setup.sh env [EXTRA...]      .venv        Python 3.11 or newer: spikeport, its extras, its tests
#   tools/setup.sh lava [--optional]   .venv-lava   Python 3.10: Lava (--optional: no failure without it)
#   tools/setup.sh lava-dl [--optional]   lava-dl, for tests, into .venv-lava
#   tools/setup.sh peers               .venv-peers  Python 3.11 or newer: what benchmarks measure us against
#
# SPIKEPORT_PYTHON names the Python for .venv; SPIKEPORT_LAVA_PYTHON names a ready Lava interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '[setup] %s\n' "$*" >&2; }

# Whether interpreter $1 starts, meets condition $2 on its version, and can make a virtual environment.
# It is run, not looked up: a pyenv shim exists on the PATH even where its Python does not.
fits() { "$1" -c "import sys, venv, ensurepip; sys.exit(not ($2))" >/dev/null 2>&1; }

# Prints the first interpreter that meets condition $1 among those of the versions that follow.
find_python() {
    local condition=$1 version candidate
    shift
    for version in "$@"; do
        for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
            if fits "$candidate" "$condition"; then echo "$candidate" && return; fi
        done
    done
    if fits python3 "$condition"; then echo python3 && return; fi
    for version in "$@"; do
        candidate=$(uv python find "$version" 2>/dev/null) || continue
        if fits "$candidate" "$condition"; then echo "$candidate" && return; fi
    done
    return 1
}

# Creates virtual environment $1 with interpreter $2, unless a working one is there.
create() {
    "$1/bin/python" -m pip --version >/dev/null 2>&1 && return
    say "creating $1 with $("$2" --version 2>&1) ($2)"
    "$2" -m venv --clear "$1"
}

# Fingerprint of the files named: when it changes, the environment is brought up to date.
fingerprint() { cat tools/setup.sh "$@" | cksum; }

fresh() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

# Installs into virtual environment $1. Modules are compiled when first imported: most never are.
install() { "$1/bin/python" -m pip install --quiet --no-compile "${@:2}"; }

setup_env() {
    local extras stamp mark python condition="(3, 11) <= sys.version_info < (3, 14)"
    extras=$(IFS=,; echo "$*")
    stamp=.venv/.setup-${extras:-core}
    mark=$(fingerprint pyproject.toml constraints.txt)
    if fresh "$stamp" "$mark"; then return; fi
    if [ -x .venv/bin/python ] && ! fits .venv/bin/python "$condition"; then
        say ".venv has another Python than 3.11 to 3.13: remove that folder, then run this again"
        exit 1
    fi
    # 3.11 first: it is the version that constraints.txt was measured with.
    python=${SPIKEPORT_PYTHON:-$(find_python "$condition" 3.11 3.12 3.13 || true)}
    if [ -z "$python" ]; then
        say "no Python 3.11 to 3.13 with venv and ensurepip found. Get one by one of:"
        say "  apt install python3 python3-venv  |  pyenv install 3.11  |  uv python install 3.11"
        say "or name one: SPIKEPORT_PYTHON=/path/to/python make ..."
        exit 1
    fi
    create .venv "$python"
    # torch in a call of its own with the exact pin: pip then takes a CPU wheel lying on this machine,
    # where a range would make it fetch gigabytes of CUDA libraries.
    say "installing $(grep '^torch==' constraints.txt) (the large download, the first time)"
    install .venv -c constraints.txt "$(grep '^torch==' constraints.txt)"
    say "installing spikeport with extras ${extras:-(none)}, versions from constraints.txt"
    install .venv -c constraints.txt --editable ".${extras:+[$extras]}"
    echo "$mark" >"$stamp"
    say ".venv is ready"
}

lava_missing() {
    say "$1"
    if [ "$2" = --optional ]; then
        say "going on without Lava: the Lava run is left out, and the report will say so"
        exit 0
    fi
    exit 1
}

setup_lava() {
    local stamp=.venv-lava/.setup mark python condition="sys.version_info[:2] == (3, 10)"
    if [ -n "${SPIKEPORT_LAVA_PYTHON:-}" ]; then
        say "Lava: using SPIKEPORT_LAVA_PYTHON=$SPIKEPORT_LAVA_PYTHON as it is" && return
    fi
    mark=$(fingerprint constraints-lava.txt)
    if fresh "$stamp" "$mark"; then return; fi
    python=$(find_python "$condition" 3.10 || true)
    if [ -z "$python" ]; then
        say "Lava needs Python 3.10 (lava-nc is archived upstream and runs on no other). Get it by one of:"
        say "  pyenv install 3.10  |  uv python install 3.10  |  apt install python3.10 python3.10-venv"
        say "  (on a newer Ubuntu the last one needs: add-apt-repository ppa:deadsnakes/ppa)"
        lava_missing "then run: make lava-env" "$1"
    fi
    create .venv-lava "$python"
    say "installing Lava and what it needs, versions from constraints-lava.txt"
    install .venv-lava -r constraints-lava.txt ||
        lava_missing "Lava could not be installed (pip's message is above); to try again: make lava-env" "$1"
    echo "$mark" >"$stamp"
    say ".venv-lava is ready"
}

# lava-dl declares torch, torchvision and OpenCV: 5.4 GB installed. Its reader netx, all that is used here, runs
# without them (exporters/lava/runtime/spikeport_lava/stand_ins.py), so it comes alone, a wheel of 68 MB.
setup_lava_dl() {
    local stamp=.venv-lava/.setup-lava-dl mark
    setup_lava "$1"
    if [ -n "${SPIKEPORT_LAVA_PYTHON:-}" ]; then return; fi
    mark=$(fingerprint constraints-lava.txt constraints-lava-dl.txt)
    if fresh "$stamp" "$mark"; then return; fi
    say "installing $(grep '^lava-dl==' constraints-lava-dl.txt) into .venv-lava (68 MB, the first time)"
    if ! install .venv-lava --no-deps -r constraints-lava-dl.txt; then
        say "lava-dl could not be installed (pip's message is above); to try again: make lava-dl-env"
        if [ "$1" = --optional ]; then say "going on without it: its tests are skipped, with the reason" && return; fi
        exit 1
    fi
    echo "$mark" >"$stamp"
}

# SpikingJelly declares torchvision, tensorboard and more, none of which its neurons import: constraints-peers.txt
# names all that is needed, and nothing else is installed.
setup_peers() {
    local stamp=.venv-peers/.setup mark python condition="(3, 11) <= sys.version_info < (3, 14)"
    mark=$(fingerprint constraints-peers.txt)
    if fresh "$stamp" "$mark"; then return; fi
    python=${SPIKEPORT_PYTHON:-$(find_python "$condition" 3.11 3.12 3.13 || true)}
    if [ -z "$python" ]; then say "no Python 3.11 to 3.13 found: see tools/setup.sh env" && exit 1; fi
    create .venv-peers "$python"
    install .venv-peers "$(grep '^torch==' constraints-peers.txt)"
    install .venv-peers --no-deps -r constraints-peers.txt
    echo "$mark" >"$stamp"
    say ".venv-peers is ready"
}

case "${1:-}" in
    env) setup_env "${@:2}" ;;
    lava) setup_lava "${2:-}" ;;
    lava-dl) setup_lava_dl "${2:-}" ;;
    peers) setup_peers ;;
    *) say "usage: tools/setup.sh env [EXTRA...] | lava [--optional] | lava-dl [--optional] | peers" && exit 2 ;;
esac
