"""``simulate_nir`` as a user meets it: files, batches, several ends, counts and notes."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
import torch

import simulators
from exporters.nir.write import write_graph
from simulators import GraphSimulationError, StockGraphError, simulate, simulate_nir
from tests.exporters.nir.files import edited, student_graph
from tests.simulators.small_student import random_inputs, random_student
from tests.simulators.stock.reference import DT, alone, convolution, graph, image_net, images, leaky, random_neuron

RNG = np.random.default_rng(0)


def test_a_file_gives_what_its_graph_gives(tmp_path: Path) -> None:
    g, x = image_net(), images()
    nir.write(tmp_path / "m.nir", g)
    seen = simulate_nir(g, x)
    assert torch.equal(simulate_nir(tmp_path / "m.nir", x).output, seen.output)
    assert torch.equal(simulate_nir(str(tmp_path / "m.nir"), torch.from_numpy(x)).output, seen.output)
    assert seen.output.shape == (5, 12, 3) and seen.output.any()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_batches_do_not_matter_and_samples_start_anew(size: int) -> None:
    edges = [("input", "w"), ("w", "lif"), ("lif", "w"), ("lif", "output")]
    recurrent = graph({"w": nir.Linear(np.eye(3)), "lif": leaky(3)}, edges, 3, 3)
    for net, signal in ((recurrent, RNG.random((5, 9, 3))), (image_net(), images())):
        whole, part = (simulate_nir(net, signal, batch_size=b, record=True) for b in (64, size))
        assert torch.equal(whole.output, part.output) and whole.counts == part.counts
        assert all(torch.equal(whole.spikes[name], part.spikes[name]) for name in whole.spikes)


def test_recorded_spikes_are_those_counted() -> None:
    seen = simulate_nir(image_net(), images(), record=True)
    assert set(seen.spikes) == {"lif", "out"}
    assert seen.spikes["lif"].dtype == torch.bool and seen.spikes["lif"].shape == (5, 12, 4, 3, 3)
    for name, spikes in seen.spikes.items():
        assert seen.counts[name].spikes == int(spikes.sum()) > 0
    assert torch.equal(seen.spikes["out"].double(), seen.output)
    assert not simulate_nir(image_net(), images()).spikes


def test_synaptic_operations_are_counted_one_by_one() -> None:
    """One for each non-zero element and each non-zero weight that it meets inside the borders."""
    g, x = image_net(), images(2)
    seen = simulate_nir(g, x, record=True)
    conv, head = g.nodes["conv"], g.nodes["head"]
    ones = nir.Conv2d(None, (conv.weight != 0) * 1.0, conv.stride, conv.padding, conv.dilation, 2, np.zeros(4))
    assert seen.counts["conv"].synops == sum(convolution(ones, y).sum() for sample in x * 1.0 for y in sample)
    total = 0
    for y in seen.spikes["lif"].numpy().reshape(-1, 4, 3, 3):
        y = np.pad(y, [(0, 0), (0, 0), (1, 1)])
        sums = [y[c, i : i + 2, j : j + 2].sum() for c in range(4) for i in range(2) for j in range(4)]
        total += sum(int(np.count_nonzero(head.weight[:, k])) for k, s in enumerate(sums) if s)
    assert seen.counts["head"].synops == total > 0
    assert seen.counts["pool"].synops is None and seen.counts["pool"].spikes is None


def test_counts_in_a_cycle() -> None:
    nodes = {"lif": leaky(2), "w": nir.Linear(np.array([[0.0, 2.0], [1.0, 0.0]]))}
    g = graph(nodes, [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")], 2, 2)
    seen = simulate_nir(g, RNG.random((3, 20, 2)))
    assert seen.counts["lif"].spikes == int(seen.output.sum()) > 0
    assert seen.counts["w"].synops == int(seen.output[:, :-1].sum())  # one weight each; the last step's come too late


def test_a_file_of_our_own_profile_gives_the_integer_simulators_spikes(tmp_path: Path) -> None:
    s = random_student(np.random.default_rng(3), "sdsa", width=4, hidden=6, tokens=4, blocks=1)
    written = student_graph("sdsa", seed=3)
    write_graph(written, tmp_path / "m.nir")
    x, _ = random_inputs(np.random.default_rng(5), s, 30, rate=0.6)
    integer = simulate(written, x, record=True)
    seen = simulate_nir(tmp_path / "m.nir", x[:, :, :, None], record=True)
    np.testing.assert_array_equal(seen.output[:, :, :, 0].numpy(), integer.logits.numpy())
    ours = {name.split("_", 1)[1]: spikes[:, :, :, 0] for name, spikes in seen.spikes.items() if "/" not in name}
    both = set(integer.spikes) & set(ours)
    for name in both:
        assert torch.equal(ours[name], integer.spikes[name]), name
    assert len(both) >= 5 and integer.logits.any()


def test_several_inputs_and_outputs_go_by_name() -> None:
    nodes = {
        "x": nir.Input(np.array([2])),
        "y": nir.Input(np.array([2])),
        "sum": nir.Scale(np.ones(2)),
        "a": nir.Output(np.array([2])),
        "b": nir.Output(np.array([2])),
    }
    g = nir.NIRGraph(nodes, [("x", "sum"), ("y", "sum"), ("sum", "a"), ("y", "b")], type_check=False)
    x, y = RNG.random((2, 3, 4, 2))
    seen = simulate_nir(g, {"x": x, "y": y})
    np.testing.assert_array_equal(seen.outputs["a"].numpy(), x + y)
    np.testing.assert_array_equal(seen.outputs["b"].numpy(), y)
    with pytest.raises(StockGraphError, match=r"2 \('a', 'b'\); take one from `outputs`"):
        _ = seen.output
    with pytest.raises(StockGraphError, match=r"2 Inputs \('x', 'y'\); pass a mapping"):
        simulate_nir(g, x)
    with pytest.raises(StockGraphError, match=r"Inputs are \['x', 'y'\]; pass one for each"):
        simulate_nir(g, {"x": x})


def test_loose_ends_get_an_input_and_an_output_as_nir_gives_them() -> None:
    nodes = {"w": nir.Linear(np.eye(2) * 3), "s": nir.Scale(np.ones(2))}
    g = nir.NIRGraph(dict(nodes), [("w", "s")], type_check=False)
    assert list(simulate_nir(g, np.ones((1, 2, 2))).outputs) == ["output_s"]
    assert list(g.nodes) == ["w", "s"]  # the graph itself is left as it was
    assert list(simulate_nir(nir.NIRGraph(nodes, [("w", "s")]), np.ones((1, 2, 2))).outputs) == ["output_s"]


def test_a_duplicate_edge_means_what_the_caller_says() -> None:
    g = graph({"a": nir.Scale(np.ones(2))}, [("input", "a"), ("input", "a"), ("a", "output")], 2, 2)
    x = np.ones((1, 1, 2))
    assert simulate_nir(g, x, duplicate_edges="sum").output.tolist() == [[[2, 2]]]
    assert simulate_nir(g, x, duplicate_edges="once").output.tolist() == [[[1, 1]]]
    with pytest.raises(StockGraphError, match="edge 'input' -> 'a': appears twice"):
        simulate_nir(g, x)


def test_notes_say_what_was_read_otherwise_than_declared() -> None:
    g = alone(nir.Scale(np.ones(1)), (1,), leaving=(1, 1, 1))
    (note,) = simulate_nir(g, np.ones((1, 1, 1))).notes
    assert note == "output: declares the shape (1, 1, 1), (1,) arrives and is used"
    slow = alone(nir.IF(np.ones(2), np.ones(2)), (2,))
    (note,) = simulate_nir(slow, np.ones((1, 5, 2))).notes
    assert note.startswith("node: an input of 1 moves v by 0.0001 a step") and "integrate='steps'" in note
    steps = simulate_nir(slow, np.full((1, 5, 2), 1.5), integrate="steps")
    assert steps.notes == () and steps.output.all()


def test_a_file_from_before_the_resets_runs(tmp_path: Path) -> None:
    x = images(2)
    nir.write(tmp_path / "m.nir", image_net())
    new = simulate_nir(tmp_path / "m.nir", x).output
    edited(tmp_path / "m.nir", lambda n: [n["nodes"][name].pop("v_reset") for name in ("lif", "out")])
    assert torch.equal(simulate_nir(tmp_path / "m.nir", x).output, new)


def test_neurons_in_a_file_keep_their_own_parameters(tmp_path: Path) -> None:
    node = random_neuron("CubaLIF", np.random.default_rng(0), (3,))
    x = RNG.normal(size=(2, 15, 3))
    nir.write(tmp_path / "m.nir", alone(node, (3,)))
    for dt in (DT, DT / 2):
        a, b = (simulate_nir(source, x, dt=dt).output for source in (tmp_path / "m.nir", alone(node, (3,))))
        assert torch.equal(a, b) and a.any()


def test_the_names_that_a_user_imports() -> None:
    assert {"simulate_nir", "StockResult", "StockCount", "StockGraphError"} <= set(simulators.__all__)
    assert issubclass(StockGraphError, GraphSimulationError)
