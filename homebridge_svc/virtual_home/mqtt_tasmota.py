"""An emulated Tasmota plug.

Its `PulseTime` restarts whenever the relay becomes on, is dropped when it becomes off, and the setting stays.
"""

from __future__ import annotations

import asyncio
import re

from homebridge_svc.virtual_home.mqtt_plug import MqttPlug
from homebridge_svc.wire.mqtt_values import Json

BACKLOG_GAP = 0.2  # policy seconds between two commands of a Backlog (Tasmota's SetOption34)


class TasmotaPlug(MqttPlug):
    """One relay of a Tasmota; unit: its number, or nothing for the first."""

    _backlog: asyncio.Task[None] | None = None
    pulse_time = 0  # the setting, in PulseTime's own counting

    @property
    def _number(self) -> int:
        return int(self._unit or "1")

    @property
    def _power(self) -> str:
        return "POWER" if self._number == 1 else f"POWER{self._number}"

    async def run(self) -> None:
        """Be a Tasmota until cancelled."""
        try:
            await super().run()
        finally:
            if self._backlog is not None:
                self._backlog.cancel()

    def filters(self) -> tuple[str, ...]:
        """All its commands."""
        return (f"cmnd/{self._topic}/+",)

    def will(self) -> tuple[str, str, str]:
        """Its LWT."""
        return f"tele/{self._topic}/LWT", "Online", "Offline"

    def heard(self, topic: str, payload: bytes) -> None:
        """Carry out `cmnd/<topic>/<command>`; the commands of a Backlog one after the other."""
        command, text = topic.rpartition("/")[2], payload.decode(errors="replace").strip()
        if command.lower() in ("backlog", "backlog0"):
            gap = 0.0 if command.endswith("0") else BACKLOG_GAP
            self._backlog = asyncio.create_task(
                self._work_off(text, gap, self._backlog), name=f"{self._topic}: backlog"
            )
        else:
            self._command(command, text)

    def relay_moved(self) -> None:
        """Restart or drop the timer."""
        self.disarm()
        if self.relay and self.pulse_time:
            self.arm(pulse_seconds(self.pulse_time))

    def say_state(self) -> None:
        """RESULT and POWER, as after each command."""
        state = "ON" if self.relay else "OFF"
        self.say(f"stat/{self._topic}/RESULT", {self._power: state})
        self.say(f"stat/{self._topic}/{self._power}", state)

    def say_watts(self) -> None:
        """The telemetry message."""
        self.say(f"tele/{self._topic}/SENSOR", self._sensors())

    def born(self) -> None:
        """What comes with the first telemetry."""
        self.say(f"tele/{self._topic}/STATE", {self._power: "ON" if self.relay else "OFF"})
        self.say_watts()

    def _sensors(self) -> dict[str, Json]:
        return {"Time": self._clock.now().utc.strftime("%Y-%m-%dT%H:%M:%S"), "ENERGY": {"Power": self.watts}}

    def _command(self, command: str, text: str) -> None:
        found = re.fullmatch(r"([a-z]+)(\d*)", command.lower())
        name, number = (found[1], int(found[2] or 1)) if found else ("", 1)
        if name == "power" and number == self._number:
            match text.lower():
                case "on" | "1":
                    self.switch(True)
                case "off" | "0":
                    self.switch(False)
                case "toggle" | "2":
                    self.switch(not self.relay)
                case _:
                    self.say_state()
        elif name == "pulsetime" and number == self._number:
            if text.isdecimal() and int(text) <= 64_900:  # noqa: PLR2004  Tasmota's own
                self.pulse_time = int(text)
                if self.relay:
                    self.relay_moved()
            left = self.pulse_time if self.armed else 0
            said: Json = {"Set": self.pulse_time, "Remaining": left}
            self.say(f"stat/{self._topic}/RESULT", {f"PulseTime{number}": said})
        elif name == "status" and text == "10":
            self.say(f"stat/{self._topic}/STATUS10", {"StatusSNS": self._sensors()})
        elif name == "state":
            self.say(f"stat/{self._topic}/RESULT", {self._power: "ON" if self.relay else "OFF"})
        else:
            self.say(f"stat/{self._topic}/RESULT", {"Command": "Unknown"})

    async def _work_off(self, text: str, gap: float, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])  # a Backlog is added behind the one that is being worked off
        for part in filter(None, map(str.strip, text.split(";"))):
            command, _, argument = part.partition(" ")
            self._command(command, argument.strip())
            await self._clock.sleep(gap)


def pulse_seconds(value: int) -> float:
    """How long a PulseTime value lasts."""
    return value / 10 if value < 112 else value - 100.0  # noqa: PLR2004  Tasmota's own
