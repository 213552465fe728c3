"""Runs under Lava's interpreter: its own Sparse and LIF models, called step by step on graded messages.

Usage: lava_neuron.py IN.npz OUT.npz. For each case i, ``weight{i}`` (out, in), ``messages{i}`` (T, in, samples) int32
and ``facts{i}`` (vth, weight exponent); the answer holds ``spikes{i}``, ``u{i}`` and ``v{i}`` (T, out, samples).
"""

from __future__ import annotations

import sys

import numpy as np
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.sparse.models import PySparseModelBitAcc
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix


class Port:
    """Hands over what it was given."""

    def __init__(self):
        self.value = None

    def recv(self):
        return self.value

    def send(self, value):
        self.value = value


def synapse(weight, exponent):
    model = PySparseModelBitAcc({"weight_exp": exponent, "num_weight_bits": 8, "sign_mode": SignMode.MIXED})
    model.weights = csr_matrix(weight.astype(np.int32))
    model.num_message_bits = np.array([24])
    model.s_in, model.a_out, model.a_buff = Port(), Port(), None
    return model


def neuron(shape, vth):
    model = PyLifModelBitAcc({})
    model.u, model.v = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    model.du, model.dv, model.vth = np.uint16(4095), np.uint16(2048), np.int32(vth)
    model.bias_mant, model.bias_exp = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
    model.a_in, model.s_out = Port(), Port()
    return model


def main(given, answer):
    cases, out = np.load(given), {}
    for i in range(len(cases.files) // 3):
        weight, messages, (vth, exponent) = (cases[f"{key}{i}"] for key in ("weight", "messages", "facts"))
        dense = synapse(weight, int(exponent))
        lif = neuron((len(weight), messages.shape[2]), int(vth))
        trains = {"spikes": [], "u": [], "v": []}
        for message in messages:
            dense.s_in.value = message
            dense.run_spk()  # sends the last step's sums, as Lava's synapses do; ours are in the buffer
            lif.a_in.value = dense.a_buff
            lif.run_spk()
            for key, value in (("spikes", lif.s_out.value), ("u", lif.u), ("v", lif.v)):
                trains[key].append(np.array(value))
        out.update({f"{key}{i}": np.stack(train) for key, train in trains.items()})
    np.savez(answer, **out)


if __name__ == "__main__":
    main(*sys.argv[1:])
