"""Bundles on backends put to the watermark's test: where the test of ``toolkit.watermark`` meets real models."""

from __future__ import annotations
