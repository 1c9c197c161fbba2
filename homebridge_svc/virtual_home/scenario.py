"""Scenarios: data files that say what the family does and what must then be true. The demo and tests play them.

A file in scenarios/ is TOML:

    title = { en = "…", zh = "…" }
    speed = 60                                    # at most; scenarios about I/O faults say 1 (rule 3)
    [[step]]
    title = { en = "…", zh = "…" }
    do = ["say 看电影"]                            # say PHRASE · command DEVICE TEXT · hand NAME · wait 30
    check = ["living_room.state == awake", "told.living_room.phase == on", "announced has 热水"]
    within = 60                                   # policy seconds until all checks hold

Facts are the truth of the virtual home (stage.facts); `told.<device>.<part>` is what MQTT was told; `said` is what was
answered and announced since the step began.
"""

from __future__ import annotations

import asyncio
import json
import operator
import tomllib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homebridge_svc.errors import ConfigError
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.virtual_home.stage import SCENES, Stage

FOLDER: Final = Path(__file__).parent / "scenarios"
LOOK: Final = 0.02  # real seconds between two looks
LEAST: Final = 15.0  # real seconds that checks get at any speed: sockets do not scale (rule 3)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    "has": operator.contains,
}


@dataclass(frozen=True, slots=True)
class Step:
    """What is done, and what must hold within so many policy seconds."""

    title: dict[str, str]
    do: tuple[str, ...]
    check: tuple[str, ...]
    within: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story. speed: the highest at which it makes sense."""

    name: str
    title: dict[str, str]
    speed: float
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """How a step went: each check with what was seen, and how long it took in policy seconds."""

    step: Step
    checks: list[tuple[str, bool, str]]
    seconds: float
    problem: str = ""

    @property
    def held(self) -> bool:
        """All checks held."""
        return not self.problem and all(ok for _, ok, _ in self.checks)


def names() -> list[str]:
    """All scenarios that are shipped."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(name: str) -> Scenario:
    """Read one. Raises ConfigError when there is none of this name."""
    if name not in names():
        raise ConfigError("--scenario", f"there is no scenario {name!r}", f"known: {', '.join(names())}")
    raw = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    steps = tuple(
        Step(step["title"], tuple(step.get("do", ())), tuple(step.get("check", ())), float(step.get("within", 30)))
        for step in raw["step"]
    )
    return Scenario(name, raw["title"], float(raw.get("speed", 1000)), steps)


@dataclass(slots=True)
class Player:
    """Plays a scenario on a stage, step by step."""

    stage: Stage
    clock: SystemClock

    async def play(self, scenario: Scenario) -> AsyncIterator[Played]:
        """Yield every step as it ends; a step that fails ends the story."""
        for step in scenario.steps:
            played = await self._play(step)
            yield played
            if not played.held:
                return

    async def _play(self, step: Step) -> Played:
        began = self.clock.now().mono
        self.stage.hand.results.clear()
        self.stage.hand.announcements.clear()
        try:
            for act in step.do:
                await self._do(act)
        except (KeyError, ValueError) as why:
            return Played(step, [], 0.0, f"cannot do {act!r}: {why}")
        loop = asyncio.get_running_loop()
        least, until = loop.time() + LEAST, self.clock.now().mono + step.within
        checks = [self._check(check) for check in step.check]
        while not all(ok for _, ok, _ in checks) and (loop.time() < least or self.clock.now().mono < until):
            await asyncio.sleep(LOOK)
            checks = [self._check(check) for check in step.check]
        return Played(step, checks, self.clock.now().mono - began)

    async def _do(self, act: str) -> None:
        verb, _, rest = act.partition(" ")
        match verb:
            case "say":
                self.stage.hand.say(SCENES, rest)
            case "command":
                device, _, text = rest.partition(" ")
                self.stage.hand.command(device, text)
            case "hand":
                self.stage.hands()[rest]()
            case "wait":
                await self.clock.sleep(float(rest))
            case _:
                raise ValueError("say, command, hand or wait")

    def _check(self, check: str) -> tuple[str, bool, str]:
        name, comparison, wanted = check.split(maxsplit=2)
        seen = self._look(name)
        want: Any = wanted
        if isinstance(seen, bool):
            want = wanted == "true"
        elif isinstance(seen, int | float):
            want = float(wanted)
        elif seen is None:
            return check, comparison == "==" and wanted == "null", "nothing"
        return check, _COMPARE[comparison](seen, want), f"{seen}"

    def _look(self, name: str) -> Any:  # noqa: ANN401  a fact of any type
        hand = self.stage.hand
        if name == "said":
            return json.dumps([*hand.results, *hand.announcements], ensure_ascii=False)
        if name == "discovered":
            return len(hand.discovered)
        if name.startswith("told."):
            _, device, part = name.split(".", 2)
            return hand.states.get(device, {}).get(part)
        return self.stage.facts()[name]
