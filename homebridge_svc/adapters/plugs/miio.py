"""Mi smart plugs on the LAN, through python-miio.

python-miio blocks, and importing it takes seconds on a small machine: so it is imported by the first call, in the one
thread that makes all calls of this plug (runtime/blocking.py). Only its protocol class is used; what to ask of which
model, and what the answers mean, stands in wire/miio_calls.py and wire/miio_models.py.

A poll reports on and watts. One lost datagram is no news: the plug counts as gone after two silent polls in a row,
then the polls become rarer. Nothing is repeated here: a write whose answer is lost has an unknown outcome, and the
next poll tells what became of it.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from homebridge_svc.config.problems import wrong
from homebridge_svc.config.secrets import Secret
from homebridge_svc.config.units import SECONDS, Seconds, between
from homebridge_svc.core.events import PlugReported
from homebridge_svc.core.model import PlugAbility
from homebridge_svc.core.orders import Order, Outcome, ReadState, Result, SwitchOff, SwitchOn
from homebridge_svc.errors import DeviceError, Expired, OutcomeUnknown, Refused, Unreachable, Unsupported
from homebridge_svc.ports import Surroundings
from homebridge_svc.runtime.blocking import BlockingWorker, Permit
from homebridge_svc.runtime.logs import OncePerKind
from homebridge_svc.runtime.presence import Presence
from homebridge_svc.runtime.registry import adapter
from homebridge_svc.runtime.retry import Backoff
from homebridge_svc.wire import miio_calls as calls
from homebridge_svc.wire.miio_calls import Call
from homebridge_svc.wire.miio_models import Delay, Miot, Model, Prop, find

if TYPE_CHECKING:
    from miio.miioprotocol import MiIOProtocol

_log = logging.getLogger(__name__)

ANSWER_TIME: Final = 2  # real seconds for one answer; python-miio takes whole seconds
POLL_TIME: Final = 8.0  # real seconds for a whole poll: hello and two answers
RAREST_POLL: Final = 30.0  # seconds between polls of a plug that is away
SHARE: Final = 0.9  # of an order's time: we must say "nothing left" before the worker cuts us off not knowing
SILENT_POLLS: Final = 2  # in a row, until the plug counts as gone


def _is_token(token: SecretStr) -> SecretStr:
    if re.fullmatch(r"[0-9a-fA-F]{32}", token.get_secret_value()) is None:
        raise wrong("a miIO token is 32 hex digits", "take it from the account that owns the plug")
    return token


class Place(BaseModel):
    """Where a MIoT plug keeps a value; what is read is multiplied by scale."""

    model_config = ConfigDict(extra="forbid")

    siid: int = Field(ge=1, le=65_535)
    piid: int = Field(ge=1, le=65_535)
    scale: float = Field(default=1.0, gt=0, le=1000)

    def prop(self) -> Prop:
        """Give it as the table has it."""
        return Prop(self.siid, self.piid, self.scale)


class Options(BaseModel):
    """did: the plug's device id, checked before anything is ordered (rule 14). on, watts: instead of the table's."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    host: str = Field(min_length=1)
    token: Annotated[Secret, AfterValidator(_is_token)]
    did: int | None = Field(default=None, ge=0, le=0xFFFFFFFF)
    on: Place | None = None
    watts: Place | None = None
    model: str
    poll: Annotated[Seconds, between(SECONDS, 1, 30)] = 2.0

    @field_validator("model")
    @classmethod
    def _is_known(cls, model: str, info: ValidationInfo) -> str:
        find(model, on=_prop(info.data.get("on")), watts=_prop(info.data.get("watts")))
        return model

    def plug_model(self) -> Model:
        """Give the model's table entry, with the overrides."""
        return find(self.model, on=_prop(self.on), watts=_prop(self.watts))


def _prop(place: Place | None) -> Prop | None:
    return place.prop() if place is not None else None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the plug said; odd: why there are no watts although it should meter."""

    on: bool
    watts: float | None
    odd: str = ""


@adapter(
    "miio",
    kind="plug",
    options=Options,
    title="Mi smart plug (miIO / MIoT)",
    tried="python-miio's simulator and our emulator, which python-miio accepts; no hardware yet",
    peer="miio_plug",
)
class MiioPlug:
    """One plug. Implements ports.PlugDriver; endpoint: its key."""

    def __init__(self, key: str, options: Options, surroundings: Surroundings) -> None:
        self._key = key
        self._poll_every = options.poll
        self._home = surroundings
        self._model = options.plug_model()
        self._wire = _Wire(options.host, options.token, options.did)
        self._worker = BlockingWorker(f"{key} miio")
        self._presence = Presence(key, surroundings, _log)
        self._silent = 0
        self._backoff = Backoff(first=2 * options.poll, ceiling=RAREST_POLL)
        self._odd = OncePerKind(_log)

    @property
    def ability(self) -> PlugAbility:
        """Say what this model can do."""
        dead_man = isinstance(self._model, Miot) and self._model.delay is not None
        return PlugAbility(acts=True, meters=calls.ask_watts(self._model) is not None, dead_man=dead_man)

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            while True:
                await self._poll()
                away = self._silent >= SILENT_POLLS
                await self._home.clock.sleep(next(self._backoff) if away else self._poll_every)
        finally:
            self._worker.stop()

    async def execute(self, order: Order) -> Outcome:
        """SwitchOn, SwitchOff, ReadState; everything else is Unsupported."""
        within = order.within * SHARE
        match order.action:
            case SwitchOn(dead_man=dead_man):
                reading, detail = await self._switch(order, within, on=True, dead_man=dead_man)
            case SwitchOff():
                reading, detail = await self._switch(order, within, on=False, dead_man=None)
            case ReadState():
                reading, detail = await self._worker.call(lambda _: _read(self._model, self._wire), within), ""
            case _:
                raise Unsupported("a plug switches on and off, nothing else")
        if reading is not None:
            self._report(reading)
        return Outcome(Result.DONE, detail)

    async def _switch(
        self, order: Order, within: float, *, on: bool, dead_man: float | None
    ) -> tuple[Reading | None, str]:
        """Switch, then read back; a read-back that fails changes nothing: the plug has taken the order."""

        def work(permit: Permit) -> tuple[Reading | None, str]:
            call = calls.switch(self._model, on, dead_man)
            self._wire.greet()
            late = self._home.clock.now().mono - order.expires
            if late > 0:
                raise Expired(f"{late:.1f} s too late, not sent")
            permit.take()
            _write(self._wire, call)
            delay = self._model.delay if isinstance(self._model, Miot) else None
            detail = _settle_timer(self._wire, delay, on=on, dead_man=dead_man) if delay is not None else ""
            with suppress(Unreachable, Refused):
                return _read(self._model, self._wire), detail
            return None, detail

        return await self._worker.call(work, within)

    async def _poll(self) -> None:
        try:
            reading = await self._worker.call(lambda _: _read(self._model, self._wire), POLL_TIME)
        except DeviceError as why:
            self._silent += 1
            if self._silent >= SILENT_POLLS or self._presence.up is None:
                self._presence.become(False, str(why))
        else:
            self._report(reading)

    def _report(self, reading: Reading) -> None:
        self._silent = 0
        self._backoff.reset()
        self._presence.become(True, "it answers")
        if reading.odd:
            self._odd(reading.odd, "%s: %s", self._key, reading.odd)
        now = self._home.clock.now()
        self._home.post(PlugReported(self._home.new_id(), now, self._key, on=reading.on, watts=reading.watts))


class _Wire:
    """python-miio's protocol class; used by the plug's own thread only."""

    def __init__(self, host: str, token: SecretStr, did: int | None) -> None:
        self._host = host
        self._token = token
        self._did = did
        self._protocol: MiIOProtocol | None = None
        self._greeted = False

    def greet(self) -> None:
        """Say hello unless the last call was answered: gives the stamp that later packets need. Raises Unreachable."""
        if self._greeted:
            return
        try:
            from miio.miioprotocol import MiIOProtocol  # noqa: PLC0415  seconds and 25 MB: only where such a plug is used
        except ImportError as error:
            raise Unreachable(f"python-miio cannot be imported: {error}") from error

        logging.getLogger("miio").setLevel(logging.CRITICAL)  # it logs every attempt; we say it once, from exceptions
        if self._protocol is None:
            self._protocol = MiIOProtocol(self._host, self._token.get_secret_value(), timeout=ANSWER_TIME)
        try:
            # send_handshake alone would wait 5 s for a plug that is away
            there = MiIOProtocol.discover(self._host, timeout=ANSWER_TIME) is not None
            hello = self._protocol.send_handshake(retry_count=0) if there else None
        except Exception as error:  # DeviceException, OSError, and what a host name or damaged answer may cause
            raise Unreachable("does not answer a hello") from error
        if hello is None:
            raise Unreachable("does not answer a hello")
        found = int.from_bytes(hello.header.value.device_id, "big")
        if self._did not in (None, found):
            raise Unreachable(f"another device answers at its address: did {found}")
        self._greeted = True

    def call(self, call: Call) -> object:
        """Send once, give the answer's result. Raises Refused, or Unreachable when no good answer came."""
        from miio.exceptions import DeviceError as MiioRefusal  # noqa: PLC0415  see greet

        self.greet()
        greeted, self._greeted = self._protocol, False
        if greeted is None:
            raise Unreachable("was never greeted")
        try:
            result = cast("object", greeted.send(call.method, list(call.params), retry_count=0))
        except MiioRefusal as error:
            self._greeted = True
            raise Refused(f"the plug answered {call.method} with {error.code}") from error
        except Exception as error:  # python-miio lets its parser's exceptions through: any damaged answer
            raise Unreachable("answers a hello, but not a message: is the token right?") from error
        self._greeted = True
        return result


def _read(model: Model, wire: _Wire) -> Reading:
    """On, then watts. Raises Unreachable; Refused when the plug does not know its own switch: a wrong model."""
    on = calls.said_on(wire.call(calls.ask_on(model)))
    meter = calls.ask_watts(model)
    if meter is None:
        return Reading(on, None)
    try:
        return Reading(on, calls.said_watts(model, wire.call(meter)))
    except Refused as why:
        return Reading(on, None, str(why))


def _write(wire: _Wire, call: Call) -> None:
    """Send one write. Raises Refused, OutcomeUnknown."""
    try:
        result = wire.call(call)
    except Unreachable as error:
        raise OutcomeUnknown("sent, but no answer came") from error
    calls.check_taken(call, result)


def _settle_timer(wire: _Wire, delay: Delay, *, on: bool, dead_man: float | None) -> str:
    """See to the timer after switching; gives a detail for people. Raises OutcomeUnknown when it should be armed."""
    if on and dead_man is not None:
        try:
            armed = calls.said_on(wire.call(calls.ask(delay.armed)))
        except DeviceError as error:
            raise OutcomeUnknown("switched on, but its timer could not be read back") from error
        if not armed:
            raise OutcomeUnknown("switched on, but its timer is not armed")
        return "its timer is armed"
    if not on:
        try:
            _write(wire, calls.disarm(delay))  # an armed timer that toggles would switch it on again
        except DeviceError:
            return "off, but its timer may still be armed"
    return ""
