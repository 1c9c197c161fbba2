"""What `doctor` saw while it looked: the ground that verdicts rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homebridge_svc.app import Parts
from homebridge_svc.config.load import Loaded
from homebridge_svc.core.events import EndpointChanged, PlugReported, ProjectorReported, SensorReported


@dataclass(slots=True)
class Evidence:
    """What was reported while we looked; the newest counts. line: up, or why not."""

    line: tuple[bool, str] = (False, "no answer")
    ends: dict[str, EndpointChanged] = field(default_factory=dict)
    on: dict[str, bool] = field(default_factory=dict)
    watts: dict[str, float] = field(default_factory=dict)
    projectors: dict[str, ProjectorReported] = field(default_factory=dict)
    sensors: dict[str, SensorReported] = field(default_factory=dict)

    def add_plug(self, report: PlugReported) -> None:
        """A plug spoke; what it did not say keeps standing."""
        if report.on is not None:
            self.on[report.plug] = report.on
        if report.watts is not None:
            self.watts[report.plug] = report.watts

    def up(self, end: str) -> bool | None:
        """Whether it is reachable; None: nobody said."""
        return self.ends[end].up if end in self.ends else None

    def knows_line(self) -> bool:
        """The broker took us."""
        return self.line[0]

    def knows_plug(self, *, key: str, meters: bool) -> bool:
        """It said all that it can."""
        return bool(self.up(key)) and key in self.on and (key in self.watts or not meters)

    def knows_sensor(self, *, key: str) -> bool:
        """It measured."""
        return key in self.sensors

    def knows_channel(self, *, end: str) -> bool:
        """The projector answered on this channel."""
        return bool(self.up(end)) and end in self.projectors


@dataclass(frozen=True, slots=True)
class Page:
    """Who answers where the page should be. health: its words, None: nobody. devices: as a running daemon sees them."""

    health: str | None
    devices: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """It is our daemon."""
        return self.health in {"ok", "stalled"}


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a verdict may rest on."""

    loaded: Loaded
    parts: Parts
    state_dir: Path
    evidence: Evidence
    page: Page
