"""Putting a key's watermark into a classifier: what is learnt, by which rows, and what it cost."""

from __future__ import annotations
