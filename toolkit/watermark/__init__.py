"""Ownership by watermark: key, triggers, queries, plan, test, evidence and commitment, a file each."""

from __future__ import annotations
