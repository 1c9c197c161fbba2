"""The UDP side of a virtual XGIMI projector: it obeys keys, answers who it is, and falls silent when it sleeps.

Everything moves the shared `ProjectorBody`; this module only puts it on the wire. Keys are never answered. The answer
to 10000 goes to port 16751 of the asker's address, from the projector's JSON port.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from homebridge_svc.errors import WireError
from homebridge_svc.virtual_home.faults import Faults
from homebridge_svc.wire import xgimi

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from homebridge_svc.virtual_home.projector_body import ProjectorBody

_KEY_NAMES = {code: name for name, code in xgimi.KEY_CODES.items()}


class _Port(asyncio.DatagramProtocol):
    """One bound port; hands on what survives the faults."""

    def __init__(self, faults: Faults, hear: Callable[[bytes, str], None]) -> None:
        self._faults = faults
        self._hear = hear

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for delay, copy in self._faults.through(data):
            asyncio.get_running_loop().call_later(delay, self._hear, copy, addr[0])


@dataclass(slots=True)
class XgimiUdp:
    """Use with `async with`. host: this projector's own 127.x address (rule 23).

    power_key_asks: key 116 shows a question that another 116 or "ok" answers with yes.
    answers_from: the fault "answers come from a wrong address": another 127.x address, settable while it runs.
    nonsense counts what meant nothing; light_orders what was asked of the light engine.
    """

    host: str
    body: ProjectorBody
    device: str = "guava"
    mac: str = "00:88:14:00:00:01"
    power_key_asks: bool = False
    faults: Faults = field(default_factory=Faults)
    answers_from: str | None = None
    nonsense: int = 0
    light_orders: list[bool] = field(default_factory=list)
    _asking: bool = False
    _ports: dict[tuple[str, int], asyncio.DatagramTransport] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        await self._bind(self.host, xgimi.KEY_PORT, self._key_heard)
        await self._bind(self.host, xgimi.JSON_PORT, self._json_heard)
        if self.answers_from is not None:
            await self._bind(self.answers_from, xgimi.JSON_PORT, lambda _data, _sender: None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for transport in self._ports.values():
            transport.close()
        self._ports.clear()

    async def _bind(self, host: str, port: int, hear: Callable[[bytes, str], None]) -> None:
        loop = asyncio.get_running_loop()
        made, _ = await loop.create_datagram_endpoint(lambda: _Port(self.faults, hear), local_addr=(host, port))
        self._ports[host, port] = made

    def _key_heard(self, data: bytes, _sender: str) -> None:
        if not self.body.listening:
            return
        try:
            key = xgimi.decode_key(data)
        except WireError:
            self.nonsense += 1
            return
        if key.down is not False:  # a held key takes effect once, when it goes down
            self._press(key.code)

    def _press(self, code: int) -> None:
        asking, self._asking = self._asking, False
        match code:
            case xgimi.POWER_OFF | xgimi.HIBERNATE:
                self.body.sleep()
            case xgimi.POWER_KEY if not self.body.awake:
                self.body.wake()
            case xgimi.POWER_KEY if self.power_key_asks and not asking:
                self._asking = True
            case xgimi.POWER_KEY:
                self.body.sleep()
            case _ if asking and _KEY_NAMES.get(code) == "ok":
                self.body.sleep()
            case _ if code in _KEY_NAMES:
                self.body.press(_KEY_NAMES[code])
            case _:
                self.nonsense += 1

    def _json_heard(self, data: bytes, sender: str) -> None:
        if not self.body.listening:
            return
        try:
            message = xgimi.decode(data)
        except WireError:
            self.nonsense += 1
            return
        match message:
            case xgimi.AskDevice(msgid):
                self._answer(xgimi.DeviceInfo(msgid, self.device, self.mac), sender)
            case xgimi.Control(mode=xgimi.POWER_MODE, type=xgimi.POWER_DOWN):
                self.body.sleep()
            case xgimi.Control(mode=xgimi.POWER_MODE, type=xgimi.LIGHT_ENGINE_OFF | xgimi.LIGHT_ENGINE_ON as kind):
                on = kind == xgimi.LIGHT_ENGINE_ON
                self.light_orders.append(on)
                self.body.light(on)
            case xgimi.Heartbeat():
                pass
            case _:
                self.nonsense += 1

    def _answer(self, message: xgimi.JsonMessage, asker: str) -> None:
        for delay, copy in self.faults.through(xgimi.encode(message)):
            asyncio.get_running_loop().call_later(delay, self._send, copy, asker)

    def _send(self, data: bytes, asker: str) -> None:
        transport = self._ports.get((self.answers_from or self.host, xgimi.JSON_PORT))
        if transport is not None:  # gone: a delayed answer outlived the emulator
            transport.sendto(data, (asker, xgimi.REPLY_PORT))
