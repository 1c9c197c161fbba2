"""Prometheus text format, version 0.0.4, from the engine's figures."""

from __future__ import annotations

import math
from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(figures: Mapping[str, float]) -> str:
    """Write figures named `family` or `family{label="value"}`; families ending in `_total` are counters."""
    families: dict[str, list[str]] = {}
    for name, value in sorted(figures.items()):
        family = name.partition("{")[0]
        families.setdefault(family, []).append(f"{name} {_number(value)}\n")
    parts: list[str] = []
    for family, samples in families.items():
        parts += [f"# TYPE {family} {'counter' if family.endswith('_total') else 'gauge'}\n", *samples]
    return "".join(parts)


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.15g}"
