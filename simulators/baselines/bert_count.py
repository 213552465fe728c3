"""BERT base's multiply-accumulates by sequence length, and which length a published FLOP count fits."""

from __future__ import annotations

from simulators.baselines.shape import AnnShape


def bert_base(tokens: int) -> AnnShape:
    """BERT base with a two-label head (Devlin et al. 2019: 12 layers, width 768, 12 heads, 3072 hidden)."""
    return AnnShape(layers=12, width=768, ffn=3072, tokens=tokens, labels=2, heads=12, name="BERT base")


def fitting_tokens(count: float, per_mac: int) -> int:
    """Sequence length at which BERT base does nearest to ``count`` operations, ``per_mac`` to each MAC."""
    lengths = range(1, 513)
    return min(lengths, key=lambda tokens: abs(per_mac * bert_base(tokens).macs - count))


def flops_note(count: float, mac_joules: float) -> str:
    """What a published FLOP count of BERT base is in MACs, and the energy that follows, in words."""
    single = fitting_tokens(count, 1)
    real = bert_base(128).macs
    off = 2 * real / count - 1
    return (
        f"from the shape, BERT base at 128 tokens does {real / 1e9:.4g} GMAC = {2 * real / 1e9:.4g} GFLOP at two "
        f"per MAC ({off:+.1%} of the published count), so the FLOPs fit two per MAC and its energy at "
        f"{mac_joules * 1e12:.3g} pJ per MAC is {real * mac_joules * 1e3:.4g} mJ, half of what is published; one per "
        f"MAC would need about {single} tokens"
    )
