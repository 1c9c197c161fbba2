"""What validators must know besides the value: where the file is, the environment, the supported drivers.

Handed through pydantic's validation context. Without one (a test or the virtual home builds options in code) units
take plain numbers, paths stay as they are, and secrets may be plain: the strictness is for the owner's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, SecretStr, ValidationInfo

Drivers = Mapping[str, Mapping[str, type[BaseModel]]]  # kind -> driver -> its Options


@dataclass(frozen=True, slots=True)
class Context:
    """base: the directory that relative paths are relative to. secrets: filled while they are resolved."""

    base: Path
    drivers: Drivers
    environ: Mapping[str, str] = field(repr=False)
    secrets: list[SecretStr] = field(default_factory=list)


def context_of(info: ValidationInfo) -> Context | None:
    """Give the context of this validation, or None when there is no file behind it."""
    return info.context if isinstance(info.context, Context) else None
