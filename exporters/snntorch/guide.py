"""The README of a folder for snnTorch."""

from __future__ import annotations

TITLE = "# A spiking classifier for snnTorch"


def guide(channels: int, tokens: int, layers: list[str]) -> str:
    """Markdown text.

    Args:
        channels: of the input, the valid train included.
        tokens: slots N.
        layers: names of those that can be trained.
    """
    return f"""{TITLE}

`model.nir` is the network in integers, a stock NIR file. `load.py` makes a torch module of it by snnTorch's own
importer; copy it into your project, and keep `limits.json` beside `model.nir`. It needs
`pip install snntorch nirtorch nir safetensors`.

## Input

Spikes (B, T, {channels}, {tokens}): samples, steps, channels, tokens. The last channel is the valid train, one spike
per valid token and step; padded tokens are silent. Where spikeport and the bundle are:

```
spikeport encode rows.tsv --bundle BUNDLE --out inputs.npz
```

## Fine-tune

```python
import numpy as np, torch
from load import load, save

module = load("model.nir")
spikes = torch.from_numpy(np.load("inputs.npz")["spikes"])
optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=0.3)
for batch, labels in ...:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(module.mean_logits(batch), labels).backward()
    optimizer.step()
    module.hold_range()
save(module, "tuned.safetensors")
```

- `module(spikes)` gives the integer logits (B, K), summed over tokens and steps; `module.mean_logits` their mean in
  real units, for a loss.
- Weights are even integers in [-256, 254], so the learning rate is in these units: 0.1 to 1 for Adam. The forward pass
  rounds them, and the gradient passes straight through: what you see is what comes back. `load(path, rounding=False)`
  trains real numbers, which are rounded when they come back.
- `hold_range` scales rows down whose current could leave the chip's range for some input, by `limits.json`. Without it
  the import may have to refuse the file.
- Trained are the weights and biases of {len(layers)} layers: {", ".join(f"`{name}`" for name in layers)}.
  A bias is a row of columns of weights from the valid train; their sum is what counts.
- Frozen are the other maps, the attention, every threshold, and the biases of the convolutions (a current on padded
  tokens too, for which the chip's network has no place). If one is changed, the import refuses the file and names it.

## Bring it back

```
spikeport import snntorch tuned.safetensors --bundle BUNDLE --student STUDENT --out NEW_STUDENT
```

BUNDLE is the one this folder was written from, STUDENT the student that the bundle was made of. Every weight and every
row's sum of bias columns is rounded to an even integer, and each accumulator is proved again to stay in the chip's
range: where it could leave it, the import says which layer, and by how much. Accuracy and watermark must be measured
again.
"""
