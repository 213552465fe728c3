"""The same student from SpikingJelly's multi-step layers, one training step a line of standard input.

Runs under .venv-peers (`make peers-env`) and imports nothing of this project: `benchmarks/training_step.py`
starts it, hands it weights and a batch in a file, and reads seconds and loss of each step as a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from spikingjelly.activation_based import functional as sj
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn
from torch.nn import functional


def lif() -> nn.Module:
    """tau 2, threshold 1, hard reset out of the gradient, arctangent surrogate."""
    return neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan(2.0), detach_reset=True, step_mode="m")


class Layer(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.norm, self.lif = nn.BatchNorm1d(outputs), lif()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(x, self.weight)
        return self.lif(self.norm(y.flatten(0, 1)).view_as(y))


class Block(nn.Module):
    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        width, hidden = config["width"], config["width"] * config["expansion"]
        self.heads, self.theta = config["heads"], config["attention_threshold"]
        self.q, self.k, self.v, self.o = (Layer(width, width) for _ in range(4))
        self.fc1, self.fc2, self.lif = Layer(width, hidden), Layer(hidden, width), lif()

    def forward(self, x: Tensor, batch: int) -> Tensor:
        x = x + self.o(self.lif(self.sums(x, batch) / self.theta))
        return x + self.fc2(self.fc1(x))

    def sums(self, x: Tensor, batch: int) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.unflatten(1, (batch, -1)).unflatten(-1, (self.heads, -1)).transpose(2, 3)

        q, k, v = (split(layer(x)) for layer in (self.q, self.k, self.v))
        return (q @ (k.transpose(-1, -2) @ v)).transpose(2, 3).flatten(-2).flatten(1, 2)


class Encoder(nn.Module):
    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        self.steps, self.unit = config["steps"], config["encoder_threshold"]
        self.tokens = nn.Embedding(config["vocabulary"], config["width"])
        self.positions = nn.Embedding(config["tokens"], config["width"])
        self.lif = lif()

    def forward(self, ids: Tensor) -> Tensor:
        where = torch.arange(ids.shape[1]).expand_as(ids)
        current = (self.rounded(self.tokens(ids)) + self.rounded(self.positions(where))) / self.unit
        return self.lif(current.flatten(0, 1).expand(self.steps, -1, -1))

    def rounded(self, rows: Tensor) -> Tensor:
        scaled = rows * self.unit
        return scaled + (scaled.round() - scaled).detach()


class Student(nn.Module):
    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config["layers"]))
        self.readout = nn.Linear(config["width"], config["labels"])

    def forward(self, ids: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, features = self.encoder(ids), []
        for block in self.blocks:
            x = block(x, len(ids))
            features.append(x.mean(0))
        return self.readout(x).mean(0).unflatten(0, ids.shape).mean(1), features


def loss_of(student: Student, heads: nn.ModuleList, given: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    logits, features = student(given["ids"])
    heat = weights["temperature"]
    answers = functional.log_softmax(given["logits"] / heat, -1)
    loss = functional.kl_div(functional.log_softmax(logits / heat, -1), answers, reduction="batchmean", log_target=True)
    loss = loss * heat**2 + weights["labels"] * functional.cross_entropy(logits, given["labels"])
    for head, state, target in zip(heads, features, given["features"], strict=True):
        loss = loss + weights["features"] * functional.mse_loss(head(state), target.flatten(0, 1))
    return loss


def main() -> None:
    file, threads = sys.argv[1], int(sys.argv[2])
    clock = time.process_time if sys.argv[3] == "cpu" else time.perf_counter
    torch.set_num_threads(threads)
    given = torch.load(file, weights_only=True)
    student = Student(given["config"]).train()
    student.load_state_dict(given["student"])
    width, wide = given["config"]["width"], given["batch"]["features"].shape[-1]
    heads = nn.ModuleList(nn.Sequential(nn.Linear(width, wide), nn.LayerNorm(wide)) for _ in student.blocks)
    heads.load_state_dict(given["heads"])
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        start = clock()
        loss = loss_of(student, heads, given["batch"], given["weights"])
        loss.backward()
        seconds = clock() - start
        student.zero_grad(set_to_none=True)
        heads.zero_grad(set_to_none=True)
        sj.reset_net(student)
        print(json.dumps({"seconds": seconds, "loss": float(loss.detach())}), flush=True)


if __name__ == "__main__":
    main()
