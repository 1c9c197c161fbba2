"""A projector's infrared channel: a code file and a blaster. It speaks and never hears.

The code file is TOML, one table or inline table per key, each with exactly one of `nec`, `pronto` and `raw`:

    power_off = { nec = { address = 0x04, command = 0x08 } }
    ok = { pronto = "0000 006D 0022 0002 0157 00AC …" }
    left = { raw = [9000, 4500, 562, 562], carrier = 38000 }
    power = { nec = { address = 0x04, command = 0x09 }, toggle = true }

Names are the neutral keys ("ok", "volume_up", …), `power_off` and `power_on` (codes that do one thing only), and
`power` (a code that goes to and fro). A toggle is only used in a state that we know: blind, it would do the opposite
half of the time. A receiver that plugs into USB as a keyboard cannot wake a projector: leave `power_on` out of its
file.
"""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo

from homebridge_svc.config.context import context_of
from homebridge_svc.config.problems import wrong
from homebridge_svc.config.units import ConfigFile
from homebridge_svc.core.model import Ability, Power
from homebridge_svc.core.orders import KEYS, Action, Order, Outcome, PressKeys, Result, Sleep, Wake
from homebridge_svc.errors import ConfigError, Expired, OutcomeUnknown, Unreachable, Unsupported, WireError
from homebridge_svc.ports import Surroundings
from homebridge_svc.runtime.registry import adapter
from homebridge_svc.wire.ir import Signal, nec, pronto, raw

NAMES = KEYS | {"power", "power_on", "power_off"}
LARGEST_FILE = 1_000_000  # bytes; fifty long raw codes are a tenth of it
KEY_GAP = 0.15  # real seconds between the starts of two keys: a NEC frame takes 0.108
CONFIRM = 20.0  # seconds until somebody else (watts, network) must have seen the effect

BLIND_OFF = frozenset({Power.ON, Power.LIGHT_OFF, Power.UNKNOWN})  # a discrete off does no harm where it is off
BLIND_ON = frozenset({Power.OFF, Power.COOLING, Power.UNKNOWN})
KNOWN_ON = frozenset({Power.ON, Power.LIGHT_OFF})
KNOWN_OFF = frozenset({Power.OFF})


def load_codes(path: Path) -> dict[str, Signal]:
    """The signals of a code file, by name. Raises ConfigError naming file, key and rule."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError(str(path), f"is larger than {LARGEST_FILE} bytes", "is this a code file?")
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from None
    if not table:
        raise ConfigError(str(path), "holds no codes", "name = { nec = { address = 0x04, command = 0x08 } }")
    return {name: _code(f"{path}: {name}", name, entry) for name, entry in table.items()}


def _code(where: str, name: str, entry: object) -> Signal:
    if name not in NAMES:
        raise ConfigError(where, "is not a key", f"keys: {', '.join(sorted(NAMES))}")
    match entry:
        case {"toggle": True, **notation} if name == "power":
            signal = _signal(where, notation)
        case {"toggle": _}:
            raise ConfigError(where, "toggle = true is for power alone")
        case _ if name == "power":
            raise ConfigError(where, "goes to and fro", "add toggle = true, or name it power_on or power_off")
        case _:
            signal = _signal(where, entry)
    return signal


def _signal(where: str, notation: object) -> Signal:
    try:
        match notation:
            case {"nec": {"address": int(address), "command": int(command), **rest}, **other} if not rest and not other:
                return nec(address, command)
            case {"pronto": str(text), **other} if not other:
                return pronto(text)
            case {"raw": [*durations], "carrier": int(carrier), **other} if not other and _whole(durations):
                return raw(durations, carrier)
            case {"raw": [*durations], **other} if not other and _whole(durations):
                return raw(durations)
    except WireError as error:
        raise ConfigError(where, str(error)) from None
    raise ConfigError(
        where,
        "must be exactly one of nec, pronto and raw",
        '{ nec = { address = 0x04, command = 0x08 } }, { pronto = "0000 …" } or { raw = [9000, …], carrier = 38000 }',
    )


def _whole(numbers: list[object]) -> bool:
    return all(type(number) is int for number in numbers)


def _is_good(path: Path, info: ValidationInfo) -> Path:
    """Read an owner's codes, so that `check` tells what is wrong with them."""
    if context_of(info) is not None:
        try:
            load_codes(path)
        except ConfigError as error:
            raise wrong(f"{error.path} {error.problem}", error.hint) from None
    return path


class Options(BaseModel, extra="forbid"):
    """`[projectors.X.ir]`."""

    blaster: Annotated[str, Field(description="the key of the blaster that the projector, or its receiver, can see")]
    codes: Annotated[ConfigFile, AfterValidator(_is_good), Field(description="the TOML file with the codes")]


@adapter(
    "ir",
    kind="projector",
    options=Options,
    title="infrared, through any blaster (NEC, Pronto and raw codes)",
    tried="against an emulated receiver through mosquitto",
    peer="ir_receiver",
)
class InfraredChannel:
    """One projector's infrared channel; endpoint = `<projector>.ir`. The code file is read once, here."""

    def __init__(self, key: str, options: Options, surroundings: Surroundings) -> None:
        if options.blaster not in surroundings.blasters:
            known = ", ".join(surroundings.blasters) or "none is configured"
            raise ConfigError(f"projectors.{key}.ir.blaster", f"there is no blaster {options.blaster!r}", known)
        self._blaster = surroundings.blasters[options.blaster]
        self._clock = surroundings.clock
        self._codes = load_codes(options.codes)
        self._ability = Ability(carries=_carries(self._codes), replies=False, confirm_s=CONFIRM, sees_power=False)

    @property
    def ability(self) -> Ability:
        """What the code file allows."""
        return self._ability

    async def run(self) -> None:
        """Nothing to hear: infrared goes one way, until cancelled."""
        await asyncio.Event().wait()

    async def execute(self, order: Order) -> Outcome:
        """Send the order's codes; DONE means that the blaster took them.

        Raises Unsupported, Expired and Unreachable when nothing was sent, OutcomeUnknown once something was.
        """
        names = self._names(order.action)
        for sent, name in enumerate(names):
            if sent:
                await asyncio.sleep(KEY_GAP)
            try:
                self._check_expiry(order)
                await self._blaster.send(self._codes[name])
            except (Unreachable, Expired) as error:
                if sent:
                    raise OutcomeUnknown(f"{sent} of {len(names)} keys were sent, then: {error}") from error
                raise
        return Outcome(Result.DONE, "the blaster took it")

    def _names(self, action: Action) -> tuple[str, ...]:
        match action:
            case PressKeys(keys):
                names = keys
            case Sleep():
                names = ("power_off" if "power_off" in self._codes else "power",)
            case Wake():
                names = ("power_on" if "power_on" in self._codes else "power",)
            case _:
                raise Unsupported(f"infrared cannot {type(action).__name__}")
        for name in names:
            if name not in self._codes:
                raise Unsupported(f"the code file has no {name!r}; it has {', '.join(sorted(self._codes))}")
        return names

    def _check_expiry(self, order: Order) -> None:
        if self._clock.now().mono > order.expires:
            raise Expired("too late, not sent")


def _carries(codes: dict[str, Signal]) -> dict[type[Action], frozenset[Power]]:
    toggle = "power" in codes
    carries: dict[type[Action], frozenset[Power]] = {}
    if "power_off" in codes or toggle:
        carries[Sleep] = BLIND_OFF if "power_off" in codes else KNOWN_ON
    if "power_on" in codes or toggle:
        carries[Wake] = BLIND_ON if "power_on" in codes else KNOWN_OFF
    if codes.keys() & KEYS:
        carries[PressKeys] = BLIND_OFF
    return carries
