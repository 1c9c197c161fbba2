"""Sentences for people, in English and Chinese, and how long things last in both."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence, twice."""

    en: str
    zh: str

    def __add__(self, other: Said) -> Said:
        return Said(f"{self.en}; {other.en}", f"{self.zh}，{other.zh}")


def span(seconds: float) -> Said:
    """Say a duration: "40 s", "5 min", "1 min 30 s"."""
    minutes, rest = divmod(max(0, round(seconds)), MINUTE)
    if not minutes:
        return Said(f"{rest} s", f"{rest}秒")
    if not rest:
        return Said(f"{minutes} min", f"{minutes}分钟")
    return Said(f"{minutes} min {rest} s", f"{minutes}分{rest}秒")
