"""A projector over ADB: the system's own key events, volume, apps and state.

Theory of operation. One connection, one lock, so one line at a time. `run` keeps the connection and looks every
`poll` seconds; `execute` carries out one order and goes before a look that hangs.

A sleeping projector is half-open: it takes bytes and answers nothing, perhaps executes them minutes later. So

1. a line that was idle is probed before an order, a dead one is opened anew, once: nothing was sent, nothing doubles;
2. an acting line carries a deadline on the *device's* clock, at most our own patience away: what we have given up,
   the device refuses (wire/android.py); the order itself may then still be fresh enough for another channel;
3. first sign of life within `SIGN_S` of getting the line, or the order is given up: the next channel's turn. A line
   that has begun (`input` starts a JVM) gets all of `order.within`.

What this channel reports as ON means that the system is awake; the light engine it cannot see.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Annotated

from adb_shell.auth.sign_cryptography import CryptographySigner
from pydantic import BaseModel, Field

from homebridge_svc.config.units import SECONDS, ConfigPath, Seconds, between
from homebridge_svc.core.events import ProjectorReported
from homebridge_svc.core.model import Ability, Power
from homebridge_svc.core.orders import (
    Action,
    ChooseInput,
    LaunchApp,
    Order,
    Outcome,
    PressKeys,
    PutMute,
    PutVolume,
    ReadState,
    Result,
    Sleep,
    Wake,
)
from homebridge_svc.errors import DeviceError, Expired, OutcomeUnknown, Refused, Unreachable, Unsupported
from homebridge_svc.ports import Surroundings
from homebridge_svc.runtime.adb_session import Peer, Session, connect, load_signer
from homebridge_svc.runtime.presence import Presence
from homebridge_svc.runtime.registry import adapter
from homebridge_svc.runtime.retry import Backoff
from homebridge_svc.wire import android
from homebridge_svc.wire.android import AndroidState

log = logging.getLogger(__name__)

SIGN_S = 1.8  # real seconds from getting the line to the first sign that an order has begun
CONNECT_S = 0.9  # real seconds for a new connection before an order
PROBE_S = 0.8  # real seconds for the cheap question to an idle line; with CONNECT_S less than SIGN_S
PATIENCE_S = 0.9  # real seconds an order waits for a look to end before it ends it; with CONNECT_S less than SIGN_S
SLACK_S = 0.2  # real seconds the device gets less than we wait: its "too late" or "go" must reach us in time
IDLE_S = 3.0  # real seconds after which silence proves nothing any more
LOOK_S = 5.0  # real seconds for connecting and for reading the state, when nobody waits
SETTLE_S = 1.0  # seconds after an order until its effect is looked at
AWAY_S = (2.0, 30.0)  # seconds between two looks at a projector that is away: first, last

_UP = frozenset({Power.ON, Power.LIGHT_OFF})
_CARRIES: dict[type[Action], frozenset[Power]] = {
    ReadState: frozenset(Power) - {Power.CUT},
    Wake: frozenset({Power.OFF, Power.UNKNOWN}),  # only some keep their network while asleep
    Sleep: _UP | {Power.UNKNOWN},
    PressKeys: _UP,
    PutVolume: _UP,
    PutMute: _UP,
    ChooseInput: _UP,
    LaunchApp: _UP,
}


class Options(BaseModel, extra="forbid"):
    """`[projectors.<key>.adb]`.

    key: the private key's file (default: `adbkey` in the state directory; `pair adb` makes it). poll: between looks.
    serial: refuse any other device at this address. inputs: input id -> arguments for `am start`; hdmi1 … hdmi4 and
    home need none, they are keys of Android TV.
    """

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 5555
    key: ConfigPath | None = None
    poll: Annotated[Seconds, between(SECONDS, 1, 3600)] = 15.0
    serial: str | None = None
    inputs: dict[str, list[Annotated[str, Field(pattern=rf"^{android.INTENT_WORD.pattern}$")]]] = {}


@adapter(
    "adb",
    kind="projector",
    options=Options,
    title="Android projector over ADB (TCP 5555)",
    tried="emulator, which Debian's adb and Home Assistant's androidtv accept; no hardware yet",
    peer="adbd",
)
class AdbProjector:
    """One projector's ADB channel; endpoint `<key>.adb`."""

    def __init__(self, key: str, options: Options, surroundings: Surroundings) -> None:
        self._key = key
        self._name = f"{key}.adb"
        self._options = options
        self._around = surroundings
        self._clock = surroundings.clock
        self._lock = asyncio.Lock()
        self._signer: CryptographySigner | None = None
        self._session: Session | None = None
        self._looking: asyncio.Task[None] | None = None
        self._acted = asyncio.Event()
        self._presence = Presence(self._name, surroundings, log)
        self._volume_max: int | None = None

    @property
    def ability(self) -> Ability:
        """Replies at once; its own reports are evidence of power."""
        return Ability(carries=_CARRIES, replies=True, reply_s=2.0, confirm_s=10.0, sees_power=True)

    async def run(self) -> None:
        """Keep the connection and look regularly; less often while the projector is away."""
        away = Backoff(*AWAY_S)
        try:
            while True:
                self._looking = asyncio.create_task(self._look(), name=f"{self._name} look")
                await asyncio.wait([self._looking])
                if not self._looking.cancelled():  # by an order that could not wait
                    self._looking.result()
                if self._presence.up:
                    away.reset()
                await self._pause(self._options.poll if self._presence.up else next(away))
        finally:
            if self._looking is not None:
                self._looking.cancel()
                await asyncio.wait([self._looking])
            self._hang_up()

    async def execute(self, order: Order) -> Outcome:
        """Carry out one order within `order.within`; the first sign of life comes within 2 s or it fails."""
        stop = asyncio.get_running_loop().time() + order.within
        async with self._turn(stop):
            if self._clock.now().mono >= order.expires:
                raise Expired("it expired before it could be sent")
            sign_by = asyncio.get_running_loop().time() + SIGN_S
            session = await self._ready()
            if isinstance(order.action, ReadState):
                await self._read(session, sign_by, stop)
                return Outcome(Result.DONE)
            try:
                return await self._act(session, order, sign_by, stop)
            finally:
                self._acted.set()

    async def _act(self, session: Session, order: Order, sign_by: float, stop: float) -> Outcome:
        if isinstance(order.action, PutMute):  # the only key is a toggle
            state = android.parse_state(await self._ask(session, android.VOLUME, sign_by, stop))
            if state.muted is None:
                raise Unsupported("this Android does not say whether it is muted")
            if state.muted == order.action.on:
                return Outcome(Result.DONE, "it was so already")
        line = self._line(order.action, session.greeting.sdk)
        now = self._clock.now().mono
        patience = (_left(sign_by) - SLACK_S) / self._clock.real(1.0)  # real seconds as policy seconds
        deadline = session.deadline(min(order.expires, now + patience))
        try:
            output = await session.say(android.guarded(line, deadline), sign=_left(sign_by), within=_left(stop))
        except OutcomeUnknown as problem:
            self._presence.become(False, str(problem))
            raise
        try:
            return _judge(output)
        except Expired as problem:
            if self._clock.now().mono < order.expires:  # late for our patience only: it is another channel's turn
                raise Unreachable(str(problem)) from problem
            raise

    def _line(self, action: Action, sdk: int | None) -> str:
        """The shell line for an action. Raises Unsupported, Refused."""
        if codes := _codes(action, self._options.inputs):
            return android.press(codes)
        match action:
            case PutVolume(level):
                if level < 0 or (self._volume_max is not None and level > self._volume_max):
                    raise Refused(f"volume {level} is not within 0 … {self._volume_max}")
                return android.put_volume(level, sdk)
            case ChooseInput(name) if name in self._options.inputs:
                return android.start_activity(self._options.inputs[name])
            case LaunchApp(package):
                try:
                    return android.launch(package)
                except ValueError as problem:
                    raise Refused(str(problem)) from problem
        raise Unsupported(f"ADB has no way for {action}")

    @contextlib.asynccontextmanager
    async def _turn(self, stop: float) -> AsyncIterator[None]:
        """The line for one order: at once, or after a look that must not take long. Raises Unreachable."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._lock.acquire()
        except TimeoutError:
            if self._looking is not None:
                self._looking.cancel()
            try:
                async with asyncio.timeout_at(stop):
                    await self._lock.acquire()
            except TimeoutError:
                raise Unreachable("the line was busy with another order all the time") from None
        try:
            yield
        finally:
            self._lock.release()

    async def _ready(self) -> Session:
        """A connection that has just proven itself, for an order. Raises Unreachable, Refused."""
        await asyncio.sleep(0)  # let the loop hear of an EOF that is already here
        session = self._session
        if session is not None and session.alive:
            if asyncio.get_running_loop().time() - session.last_heard < IDLE_S:
                return session
            with contextlib.suppress(Unreachable):
                await session.ask(android.PROBE, sign=PROBE_S, within=PROBE_S)
                return session
        return await self._open(CONNECT_S)

    async def _open(self, within: float) -> Session:
        """Connect, and tell when that changes what is known of the endpoint. Raises Unreachable, Refused."""
        self._hang_up()
        try:
            session = await self._greeted(within)
        except DeviceError as problem:
            self._presence.become(False, str(problem))
            raise
        self._session = session
        self._presence.become(True, f"serial {session.greeting.serial}, SDK {session.greeting.sdk}")
        return session

    async def _greeted(self, within: float) -> Session:
        end = asyncio.get_running_loop().time() + within
        if self._signer is None:
            self._signer = await load_signer(self._options.key or self._around.state_dir / "adbkey")
        peer = Peer(self._options.host, self._options.port, self._signer, lambda: self._clock.now().mono)
        session = await connect(peer, within=within)
        try:
            await session.greet(within=_left(end))
            _identify(session, self._options.serial)
        except BaseException:
            session.close()
            raise
        return session

    async def _look(self) -> None:
        """One regular look; a failure is told once and kept."""
        async with self._lock:
            with contextlib.suppress(DeviceError):
                session = self._session
                if session is None or not session.alive:
                    session = await self._open(LOOK_S)
                now = asyncio.get_running_loop().time()
                await self._read(session, now + SIGN_S, now + LOOK_S)

    async def _ask(self, session: Session, line: str, sign_by: float, stop: float) -> str:
        try:
            return await session.ask(line, sign=_left(sign_by), within=_left(stop))
        except Unreachable as problem:
            self._presence.become(False, str(problem))
            raise

    async def _read(self, session: Session, sign_by: float, stop: float) -> None:
        """Read the state and report it."""
        state = android.parse_state(await self._ask(session, android.STATE, sign_by, stop))
        self._volume_max = state.volume_max or self._volume_max
        self._around.post(
            ProjectorReported(
                id=self._around.new_id(),
                at=self._clock.now(),
                projector=self._key,
                channel="adb",
                power=_power(state),
                app=state.app,
                volume=state.volume,
                muted=state.muted,
                identity=session.greeting.serial,
            )
        )

    async def _pause(self, seconds: float) -> None:
        """Wait so many seconds, or until orders came and have settled."""
        try:
            async with asyncio.timeout(self._clock.real(seconds)):
                await self._acted.wait()
        except TimeoutError:
            return
        while self._acted.is_set():
            self._acted.clear()
            await self._clock.sleep(SETTLE_S)

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _left(end: float) -> float:
    """Real seconds until a loop time."""
    return max(0.0, end - asyncio.get_running_loop().time())


def _codes(action: Action, inputs: Mapping[str, object]) -> list[int]:
    """The key codes that carry out an action; none: it is no matter of keys, or has a key that Android lacks."""
    match action:
        case Wake():
            return [android.WAKE_KEY]
        case Sleep():
            return [android.SLEEP_KEY]
        case PutMute():
            return [android.MUTE_KEY]
        case PressKeys(keys) if all(key in android.KEYCODES for key in keys):
            return [android.KEYCODES[key] for key in keys]
        case ChooseInput(name) if name not in inputs and name in android.INPUT_KEYS:
            return [android.INPUT_KEYS[name]]
    return []


def _judge(output: str) -> Outcome:
    """What a guarded line's output means. Raises OutcomeUnknown, Expired, Refused."""
    verdict = android.verdict(output)
    match verdict.status:
        case None:
            raise OutcomeUnknown("the shell ended without a word")
        case android.EXPIRED_STATUS if not verdict.begun:
            raise Expired("it reached the projector too late, which refused it")
        case 0 if not verdict.text.startswith("Error"):
            return Outcome(Result.DONE)
    raise Refused(f"the projector says no (status {verdict.status}): {verdict.text[:120]}")


def _identify(session: Session, serial: str | None) -> None:
    """Rule 14: a device is its identity. Raises Refused."""
    if serial not in (None, session.greeting.serial):
        raise Refused(f"another device answers there: serial {session.greeting.serial}")


def _power(state: AndroidState) -> Power | None:
    if state.booted is False:
        return Power.BOOTING
    return None if state.awake is None else Power.ON if state.awake else Power.OFF
