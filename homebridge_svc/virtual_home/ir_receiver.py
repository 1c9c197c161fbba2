"""An infrared transmitter on MQTT, and the receiver in its beam: a learning receiver that is a USB keyboard.

The transmitter takes what a Tasmota or a Tuya blaster behind zigbee2mqtt would be sent and puts it on the air; the
receiver reads NEC with a real one's tolerance and knows the codes it was taught. It hangs on the projector's USB port:
its keys work while the projector is awake, and it cannot wake it unless `wakes` (the recipe's known limit).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Literal

from homebridge_svc.errors import WireError
from homebridge_svc.virtual_home.faults import Faults
from homebridge_svc.virtual_home.mqtt_peer import Broker, MqttPeer, PolicyClock
from homebridge_svc.virtual_home.projector_body import ProjectorBody
from homebridge_svc.wire.ir import Nec, Signal, decode_nec
from homebridge_svc.wire.ir_blasters import read_tasmota, read_tuya

REMEMBERED = 200  # presses


class IrReceiver(MqttPeer):
    """taught: (address, command) -> "power", "power_off", "power_on" or a neutral key.

    pressed: what it understood, oldest first. strangers: signals on the air that it was not taught.
    """

    def __init__(
        self,
        broker: Broker,
        clock: PolicyClock,
        topic: str,
        *,
        profile: Literal["tasmota", "zigbee2mqtt"],
        taught: Mapping[tuple[int, int], str],
        body: ProjectorBody,
        wakes: bool = False,
        faults: Faults | None = None,
    ) -> None:
        super().__init__(broker, clock, topic, faults=faults)
        self.pressed: deque[str] = deque(maxlen=REMEMBERED)
        self.strangers = 0
        self._profile = profile
        self._taught = dict(taught)
        self._body = body
        self._wakes = wakes

    def filters(self) -> tuple[str, ...]:
        """Where the transmitter is told what to send."""
        return (f"cmnd/{self._topic}/IRSend",) if self._profile == "tasmota" else (f"{self._topic}/set",)

    def will(self) -> tuple[str, str, str]:
        """The transmitter's own."""
        if self._profile == "tasmota":
            return f"tele/{self._topic}/LWT", "Online", "Offline"
        return f"{self._topic}/availability", '{"state":"online"}', '{"state":"offline"}'

    def heard(self, _topic: str, payload: bytes) -> None:
        """Transmit, and let the receiver see it."""
        try:
            signal = read_tasmota(payload.decode()) if self._profile == "tasmota" else _tuya_code(payload)
        except (WireError, UnicodeDecodeError):
            if self._profile == "tasmota":
                self.say(f"stat/{self._topic}/RESULT", {"IRSend": "Invalid RawData"})
            return
        if self._profile == "tasmota":
            self.say(f"stat/{self._topic}/RESULT", {"IRSend": "Done"})
        self.beam(signal)

    def beam(self, signal: Signal) -> None:
        """Light falls on the receiver, from this transmitter or any remote."""
        found = decode_nec(signal.durations)
        name = self._taught.get((found.address, found.command)) if isinstance(found, Nec) else None
        if name is None:
            self.strangers += 1
            return
        self.pressed.append(name)
        match name:
            case "power_off":
                self._body.sleep()
            case "power" if self._body.awake:
                self._body.sleep()
            case "power" | "power_on":
                if self._wakes:
                    self._body.wake()
            case _:
                self._body.press(name)


def _tuya_code(payload: bytes) -> Signal:
    try:
        match json.loads(payload):
            case {"ir_code_to_send": str(code)}:
                return read_tuya(code)
    except (ValueError, RecursionError):
        pass
    raise WireError("not an ir_code_to_send")
