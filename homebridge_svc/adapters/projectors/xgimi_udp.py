"""XGIMI projectors with China firmware over the maker's app protocol (UDP, no authentication).

Keys and controls are never answered. What tells life is the question "who are you" (10000 → 10001): it is asked every
`poll` seconds, and before an order unless the projector was heard within the last 2 s, so that an order to a sleeping
machine fails at once and core takes the next channel.

An answer means: the system is up and takes orders. It cannot tell whether the light engine burns, so power ON is
reported as evidence of "up" only, and the projector's machine keeps a light-off that it knows of (rule 13). Silence is
evidence of nothing but silence: the endpoint is reported down, never the projector off (rule 10).

All answers arrive on port 16751 of this machine, whichever projector sent them: one socket per local address, shared
by all channels, hands each to the channel whose projector's address it came from. Other senders are counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from homebridge_svc.config.problems import wrong
from homebridge_svc.config.units import SECONDS, Seconds, between
from homebridge_svc.core.events import ProjectorReported
from homebridge_svc.core.model import Ability, Power
from homebridge_svc.core.orders import Action, LightOff, LightOn, Order, Outcome, PressKeys, ReadState, Result, Sleep
from homebridge_svc.errors import Expired, OutcomeUnknown, Unreachable, Unsupported, WireError
from homebridge_svc.ports import Surroundings
from homebridge_svc.runtime.logs import OncePerKind
from homebridge_svc.runtime.presence import Presence
from homebridge_svc.runtime.registry import adapter
from homebridge_svc.wire import xgimi

_log = logging.getLogger(__name__)

# all in real seconds
POLL_TIME: Final = 2.0  # for an answer to a poll
PROBE_TIME: Final = 0.8  # for an answer before an order
ASK_EVERY: Final = 0.25  # between repeated questions: datagrams get lost, and a waking machine is noticed soon
HEARD_LATELY: Final = 2.0  # an answer this recent needs no probe
KEY_GAP: Final = 0.12  # between keys of one order; a held key is down so long

SHARE: Final = 0.9  # of an order's time: we must say "nothing left" before the worker cuts us off not knowing

AT_ONCE: Final = 64  # datagrams read per wake-up of the loop


def _read_mac(text: str) -> str:
    mac = xgimi.plain_mac(text)
    if not mac:
        raise wrong("must be a MAC address", 'write it like "00:88:14:12:34:56"')
    return mac


class Options(BaseModel):
    """One projector.

    mac: checked before anything is ordered (rule 14). power_off_key: 30, or 116 as the remote's, which on some models
    shows a question first. network_standby: it answers while it sleeps too, so its answers tell nothing about power.
    local: the address of this machine that answers reach.
    """

    model_config = ConfigDict(extra="forbid")

    host: str = Field(min_length=1)
    mac: Annotated[str, AfterValidator(_read_mac)] | None = None
    power_off_key: Literal[30, 116] = 30
    network_standby: bool = False
    local: str = "0.0.0.0"  # noqa: S104  the device chooses the port, the owner may choose the interface
    poll: Annotated[Seconds, between(SECONDS, 2, 300)] = 10.0


@adapter(
    "udp",
    kind="projector",
    options=Options,
    title="XGIMI app protocol (UDP)",
    tried="our emulator; no hardware yet",
    peer="xgimi_udp",
)
class XgimiUdp:
    """One projector's UDP channel. Implements ports.ProjectorChannel; endpoint: `<projector>.udp`."""

    def __init__(self, key: str, options: Options, surroundings: Surroundings) -> None:
        self._projector = key
        self._name = f"{key}.udp"
        self._options = options
        self._home = surroundings
        self._mailbox: _Mailbox | None = None
        self._address: str | None = None  # of the projector; None: to be resolved
        self._asked: dict[str, asyncio.Future[xgimi.DeviceInfo]] = {}
        self._msgids = itertools.count(1)
        self._heard_at: float | None = None  # the loop's time of the last good answer
        self._presence = Presence(self._name, surroundings, _log)
        self._nonsense = OncePerKind(_log)

    @property
    def ability(self) -> Ability:
        """Keys, soft off, and the light engine; it never wakes anything."""
        awake = frozenset({Power.ON, Power.LIGHT_OFF})
        # 116 toggles: where a sleeping machine hears it, it must not be sent on a guess
        wakes = self._options.network_standby and self._options.power_off_key == xgimi.POWER_KEY
        return Ability(
            carries={
                Sleep: awake if wakes else awake | {Power.UNKNOWN},
                PressKeys: awake,
                LightOff: frozenset({Power.ON}),
                LightOn: frozenset({Power.LIGHT_OFF}),
                ReadState: frozenset(Power),
            },
            replies=True,
            reply_s=2.0,
            confirm_s=10.0,
            sees_power=not self._options.network_standby,
        )

    async def run(self) -> None:
        """Ask who it is, again and again, until cancelled."""
        try:
            while True:
                try:
                    self._mailbox = self._mailbox or _Mailbox.join(self._options.local, self)
                    self._report(await self._ask(POLL_TIME))
                except Unreachable as why:
                    self._presence.become(False, str(why))
                await self._home.clock.sleep(self._options.poll)
        finally:
            if self._mailbox is not None:
                self._mailbox.leave(self)
                self._mailbox = None

    async def execute(self, order: Order) -> Outcome:
        """Sleep, PressKeys, LightOff, LightOn, ReadState; everything else is Unsupported."""
        datagrams = self._datagrams(order.action)
        left = 0
        try:
            async with asyncio.timeout(order.within * SHARE):
                await self._make_sure(order, POLL_TIME if isinstance(order.action, ReadState) else PROBE_TIME)
                for port, data in datagrams:
                    if left:
                        await asyncio.sleep(KEY_GAP)
                    self._send(data, port)
                    left += 1
        except (TimeoutError, Unreachable) as why:
            if left:
                raise OutcomeUnknown("only a part of the keys was sent") from why
            raise Unreachable(str(why) or f"no answer within {order.within:g} s") from why
        finally:
            if 0 < left < len(datagrams) and _is_release(datagrams[left][1]):  # cut short: no key stays down
                with contextlib.suppress(Unreachable):
                    self._send(datagrams[left][1], datagrams[left][0])
        if isinstance(order.action, Sleep):
            self._heard_at = None  # from now on an answer is news
        return Outcome(Result.DONE, "sent; this protocol does not confirm" if datagrams else "it answers")

    async def _make_sure(self, order: Order, within: float) -> None:
        """It is there and the order is not late: checked immediately before anything is sent."""
        lately = self._heard_at is not None and asyncio.get_running_loop().time() - self._heard_at < HEARD_LATELY
        if isinstance(order.action, ReadState) or not lately:
            self._report(await self._ask(within))
        late = self._home.clock.now().mono - order.expires
        if late > 0:
            raise Expired(f"{late:.1f} s too late, not sent")

    @property
    def address(self) -> str | None:
        """Where its projector's answers come from."""
        return self._address

    def receive(self, data: bytes) -> None:
        """One datagram from the projector's address; late and repeated answers are dropped."""
        try:
            message = xgimi.decode(data)
        except WireError as why:
            self._nonsense(str(why), "%s says what is not understood: %s", self._name, why)
            return
        if not isinstance(message, xgimi.DeviceInfo):
            return
        # a model that does not repeat the msgid answers whatever was asked
        answered = self._asked.values() if message.msgid is None else [self._asked.get(message.msgid)]
        for future in answered:
            if future is not None and not future.done():
                future.set_result(message)

    def _datagrams(self, action: Action) -> list[tuple[int, bytes]]:
        """What carries this action: (port, bytes); nothing for ReadState. Raises Unsupported."""
        match action:
            case ReadState():
                return []
            case Sleep():
                return [_key(self._options.power_off_key)]
            case PressKeys(keys):
                lacking = [key for key in keys if key not in xgimi.KEY_CODES]
                if lacking or not keys:
                    raise Unsupported(f"no code for {', '.join(lacking) or 'no key at all'}")
                return [line for key in keys for line in _press(key)]
            case LightOff():
                return [self._control(xgimi.LIGHT_ENGINE_OFF)]
            case LightOn():
                return [self._control(xgimi.LIGHT_ENGINE_ON)]
            case _:
                raise Unsupported("the app protocol cannot do that")

    def _control(self, kind: int) -> tuple[int, bytes]:
        message = xgimi.Control(str(next(self._msgids)), xgimi.POWER_MODE, kind)
        return xgimi.JSON_PORT, xgimi.encode(message)

    async def _ask(self, within: float) -> xgimi.DeviceInfo:
        """Ask who is there until it answers. Raises Unreachable, also when another projector answers."""
        msgid = str(next(self._msgids))
        answer: asyncio.Future[xgimi.DeviceInfo] = asyncio.get_running_loop().create_future()
        self._asked[msgid] = answer
        question = xgimi.encode(xgimi.AskDevice(msgid))
        try:
            async with asyncio.timeout(within):
                if self._address is None or not self._presence.up:  # it may have moved
                    self._address = await self._locate()
                while not answer.done():
                    self._send(question, xgimi.JSON_PORT)
                    await asyncio.wait({answer}, timeout=ASK_EVERY)
        except TimeoutError:
            raise Unreachable(f"no answer within {within:g} s") from None
        finally:
            del self._asked[msgid]
        info = answer.result()
        if self._options.mac not in (None, info.mac):
            raise Unreachable(f"another projector answers at its address: {info.mac or 'without a MAC address'}")
        return info

    async def _locate(self) -> str:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._options.host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{self._options.host} is not known: {error}") from error
        return str(found[0][4][0])

    def _send(self, data: bytes, port: int) -> None:
        if self._mailbox is None or self._address is None:
            raise Unreachable("not listening yet")
        try:
            self._mailbox.send(data, (self._address, port))
        except OSError as error:
            raise Unreachable(f"the network does not carry it: {error}") from error

    def _report(self, info: xgimi.DeviceInfo) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        self._presence.become(True, "it answers")
        power = None if self._options.network_standby else Power.ON
        now = self._home.clock.now()
        self._home.post(
            ProjectorReported(self._home.new_id(), now, self._projector, "udp", power=power, identity=info.mac or None)
        )


def _key(code: int, down: bool | None = None) -> tuple[int, bytes]:
    return xgimi.KEY_PORT, xgimi.encode_key(xgimi.KeyPress(code, down))


def _press(key: str) -> list[tuple[int, bytes]]:
    code = xgimi.KEY_CODES[key]
    return [_key(code, True), _key(code, False)] if key in xgimi.HELD_KEYS else [_key(code)]


def _is_release(data: bytes) -> bool:
    return data.startswith(b"KEYSSTATUS:") and data.endswith(b"+0")


class _Mailbox:
    """The one socket on port 16751 of a local address, open while a channel uses it."""

    _open: Final[dict[tuple[asyncio.AbstractEventLoop, str], _Mailbox]] = {}

    def __init__(self, local: str) -> None:
        self._key = (asyncio.get_running_loop(), local)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._channels: list[XgimiUdp] = []
        self._strangers = OncePerKind(_log)

    @classmethod
    def join(cls, local: str, channel: XgimiUdp) -> _Mailbox:
        """Share the socket, or open it. Raises Unreachable when the port is not to be had."""
        mailbox = cls._open.get((asyncio.get_running_loop(), local))
        if mailbox is None:
            mailbox = cls(local)
            mailbox._bind()
        mailbox._channels.append(channel)
        return mailbox

    def leave(self, channel: XgimiUdp) -> None:
        """The last one closes the socket."""
        self._channels.remove(channel)
        if not self._channels:
            loop, _ = self._key
            del self._open[self._key]
            loop.remove_reader(self._socket)
            self._socket.close()

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Send one datagram. Raises OSError."""
        self._socket.sendto(data, to)

    def _bind(self) -> None:
        loop, local = self._key
        try:
            self._socket.setblocking(False)
            self._socket.bind((local, xgimi.REPLY_PORT))
        except OSError as error:
            self._socket.close()
            raise Unreachable(f"port {xgimi.REPLY_PORT} of {local} is not to be had: {error}") from error
        self._open[self._key] = self
        loop.add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        for _ in range(AT_ONCE):
            try:
                data, (sender, _port) = self._socket.recvfrom(65_535)
            except OSError:  # nothing more to read
                return
            known = [channel for channel in self._channels if channel.address == sender]
            for channel in known:
                channel.receive(data)
            if not known:
                self._strangers(sender, "%s is no projector of ours, but answers us", sender)
