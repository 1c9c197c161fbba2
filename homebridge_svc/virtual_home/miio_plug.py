"""A virtual Mi smart plug: encrypted miIO over UDP in both dialects, with the quirks that real ones have.

A packet under a wrong token, a damaged one, and one with a stale stamp all meet the same silence. Its stamp runs in
real seconds (it belongs to the wire, rule 3); its timer runs in policy seconds (it belongs to the relay).
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from homebridge_svc.errors import WireError
from homebridge_svc.virtual_home.faults import Faults
from homebridge_svc.wire import miio
from homebridge_svc.wire.miio_models import MODELS, Legacy, Miot, Prop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

STALE_AFTER = 60  # seconds by which a packet's stamp may be wrong
NO_SUCH_PROPERTY = -4003
NOT_WRITABLE = -4002
UNKNOWN_METHOD = -32601
INVALID = -5001

Several: TypeAlias = Literal["all", "first", "error"]
Address: TypeAlias = tuple[str, int]


@dataclass(slots=True)
class MiioPlug:
    """Use with `async with`. host: its own 127.x address; model: a key of MODELS; token: 16 bytes.

    mono and sleep: policy seconds, for the timer. watts: what the load behind it draws while the relay is closed.
    on_change: told whenever the relay moved. several: a message with more than one property is served, served for the
    first only (many cuco plugs), or an error. timer_toggles: its timer is a delayed toggle, not an off (rule 17).
    stamp: seconds added to its clock; a jump makes every client's stamp stale. device_id answers a hello.
    heard: (method, params) of every call it took; silent counts packets it did not.
    """

    host: str
    token: bytes
    model: str
    mono: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    watts: Callable[[], float] = float
    on_change: Callable[[bool], None] | None = None
    port: int = miio.PORT
    device_id: int = 0x0A0B0C0D
    mac: str = "04:CF:8C:00:00:01"
    several: Several = "all"
    timer_toggles: bool = False
    power_on_state: int = 0  # when mains return: 0 off, 1 on, 2 as it was
    faults: Faults = field(default_factory=Faults)
    on: bool = False
    stamp: int = 1000
    heard: list[tuple[str, object]] = field(default_factory=list)
    silent: int = 0
    _timer_seconds: int = 0
    _timer_due: float | None = None
    _timer: asyncio.Task[None] | None = None
    _transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        made, _ = await loop.create_datagram_endpoint(lambda: _Port(self), local_addr=(self.host, self.port))
        self._transport = made
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        timer = self._timer
        self._disarm()
        if timer is not None:
            with suppress(asyncio.CancelledError):
                await timer

    def press(self) -> None:
        """A hand presses the button on the plug."""
        self._switch(not self.on)

    def blackout(self) -> None:
        """Mains go and return: the timer is forgotten, the clock starts again, the relay follows its setting."""
        self._disarm()
        self.stamp = -self._seconds()
        self._switch({1: True, 2: self.on}.get(self.power_on_state, False))

    def hear(self, data: bytes, sender: Address) -> None:
        """One datagram that reached the plug."""
        if data == miio.HELLO:
            self._send(miio.encode_hello_reply(miio.HelloReply(self.device_id, self._clock())), sender)
            return
        try:
            packet = miio.decode(data, self.token)
        except WireError:
            self.silent += 1
            return
        if abs(packet.stamp - self._clock()) > STALE_AFTER:
            self.silent += 1
            return
        answer = {"id": packet.body.get("id"), **self._answer(packet.body)}
        self._send(miio.encode(miio.Packet(self.device_id, self._clock(), answer), self.token), sender)

    def _answer(self, call: Mapping[str, object]) -> dict[str, object]:
        method, params = call.get("method"), call.get("params")
        self.heard.append((str(method), params))
        if self.faults.refuse:
            return _error(INVALID)
        given = params if isinstance(params, list) else []
        if method == "miIO.info":
            about = {"model": self.model, "mac": self.mac, "fw_ver": "2.1.6", "hw_ver": "esp8684", "life": 3600}
            return {"result": about}
        match MODELS[self.model]:
            case Legacy() as model:
                return self._legacy(model, method, given)
            case Miot() as model:
                return self._miot(model, method, given)

    def _legacy(self, model: Legacy, method: object, params: list[object]) -> dict[str, object]:
        match method:
            case "get_prop":
                return {"result": [self._named(model, name) for name in params]}
            case "get_power" if model.watts_scale is not None:
                return {"result": [round(self._load() / model.watts_scale)]}
            case "set_power" if model.set_power and params in (["on"], ["off"]):
                self._switch(params == ["on"])
            case "set_on" | "set_off" if not model.set_power:
                self._switch(method == "set_on")
            case _:
                return _error(UNKNOWN_METHOD)
        return {"result": ["ok"]}

    def _miot(self, model: Miot, method: object, params: list[object]) -> dict[str, object]:
        if method not in ("get_properties", "set_properties"):
            return _error(UNKNOWN_METHOD)
        if not params or (len(params) > 1 and self.several == "error"):
            return _error(INVALID)
        act = self._read if method == "get_properties" else self._write
        served = params[:1] if self.several == "first" else params
        return {"result": [act(model, param) for param in served if isinstance(param, dict)]}

    def _named(self, model: Legacy, name: object) -> object:
        if name == "temperature":
            return 32
        if name != model.prop:
            return None
        return self.on if name == "on" else ("on" if self.on else "off")

    def _read(self, model: Miot, param: dict[str, object]) -> dict[str, object]:
        values: dict[Prop | None, object] = {
            model.on: self.on,
            model.watts: round(self._load() / model.watts.scale) if model.watts else None,
            model.energy: 0,
            model.temperature: 32,
            model.fault: 0,
            model.power_on_state: self.power_on_state,
        }
        if model.delay is not None:
            values[model.delay.armed] = self._timer_due is not None
            values[model.delay.seconds] = self._timer_seconds
            values[model.delay.remaining] = math.ceil(self._remaining())
        for prop, value in values.items():
            if prop is not None and _names(param, prop):
                return {**param, "code": 0, "value": value}
        return {**param, "code": NO_SUCH_PROPERTY}

    def _write(self, model: Miot, param: dict[str, object]) -> dict[str, object]:
        delay, value = model.delay, param.get("value")
        code = 0
        if _names(param, model.on) and isinstance(value, bool):
            self._switch(value)
        elif delay and _names(param, delay.seconds) and isinstance(value, int) and 0 <= value <= delay.limit:
            self._timer_seconds = value
        elif delay and _names(param, delay.armed) and isinstance(value, bool):
            self._disarm()
            if value:
                self._arm()
        elif model.power_on_state and _names(param, model.power_on_state) and value in (0, 1, 2):
            self.power_on_state = int(value)
        else:
            code = NOT_WRITABLE
        return {**{name: param[name] for name in param if name != "value"}, "code": code}

    def _arm(self) -> None:
        self._timer_due = self.mono() + self._timer_seconds
        self._timer = asyncio.create_task(self._count_down(), name=f"{self.host} timer")

    def _disarm(self) -> None:
        self._timer_due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _count_down(self) -> None:
        while (left := self._remaining()) > 0:
            await self.sleep(left)
        self._timer_due, self._timer = None, None
        self._switch(not self.on if self.timer_toggles else False)

    def _remaining(self) -> float:
        return max(0.0, self._timer_due - self.mono()) if self._timer_due is not None else 0.0

    def _switch(self, on: bool) -> None:
        if on != self.on:
            self.on = on
            if self.on_change is not None:
                self.on_change(on)

    def _load(self) -> float:
        return self.watts() if self.on else 0.0

    def _seconds(self) -> int:
        return int(asyncio.get_running_loop().time())

    def _clock(self) -> int:
        return (self._seconds() + self.stamp) % 2**32

    def _send(self, data: bytes, to: Address) -> None:
        for delay, copy in self.faults.through(data):
            asyncio.get_running_loop().call_later(delay, self._send_now, copy, to)

    def _send_now(self, data: bytes, to: Address) -> None:
        if self._transport is not None:  # gone: a delayed answer outlived the emulator
            self._transport.sendto(data, to)


class _Port(asyncio.DatagramProtocol):
    """The plug's socket; hands on what survives the faults."""

    def __init__(self, plug: MiioPlug) -> None:
        self._plug = plug

    def datagram_received(self, data: bytes, addr: Address) -> None:
        for delay, copy in self._plug.faults.through(data):
            asyncio.get_running_loop().call_later(delay, self._plug.hear, copy, addr)


def _names(param: Mapping[str, object], prop: Prop) -> bool:
    return (param.get("siid"), param.get("piid")) == (prop.siid, prop.piid)


def _error(code: int) -> dict[str, object]:
    return {"error": {"code": code, "message": "no"}}
