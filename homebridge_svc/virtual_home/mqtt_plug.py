"""Emulated MQTT plugs: Zigbee behind zigbee2mqtt (good and broken firmware), Shelly, ESPHome; Tasmota: mqtt_tasmota.py.

Theory of operation. All of them are a `MqttPlug`: one relay, one timer in policy time, a meter that reports changes and
a heartbeat, a button. What differs is the wire, and what the timer means. `relay` is what the device believes;
`contact` is what the pump feels: a welded contact stays closed whatever the device says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import cast

from homebridge_svc.virtual_home.faults import Faults
from homebridge_svc.virtual_home.mqtt_peer import Broker, MqttPeer, PolicyClock
from homebridge_svc.wire.mqtt_values import Json

METER_STEP = 2.0  # policy seconds between two looks at the meter
METER_BEAT = 10.0  # policy seconds after which watts are said again, changed or not (TelePeriod 10)
METER_DELTA = 0.05  # share of change that is reported at once (PowerDelta 5 %)


def _no_watts() -> float:
    return 0.0


def _nobody(_on: bool) -> None:
    return


class MqttPlug(MqttPeer):
    """One relay with meter, timer and button; unit: which of several, in the device's own naming.

    on_change: told when the contact moves. watts: what the load draws while the contact is closed.
    ignores_off: orders to open are not obeyed (and it says so). welded: the contact no longer opens (it denies it).
    """

    def __init__(
        self,
        broker: Broker,
        clock: PolicyClock,
        topic: str,
        *,
        unit: str = "",
        faults: Faults | None = None,
        on_change: Callable[[bool], None] = _nobody,
        watts: Callable[[], float] = _no_watts,
        on: bool = False,
    ) -> None:
        super().__init__(broker, clock, topic, faults=faults)
        self._unit = unit
        self.relay = on
        self.contact = on
        self.ignores_off = False
        self.welded = False
        self._on_change = on_change
        self._load = watts
        self._timer: asyncio.Task[None] | None = None

    @property
    def watts(self) -> float:
        """What the meter shows."""
        return round(self._load(), 1) if self.contact else 0.0

    @property
    def armed(self) -> bool:
        """Its own timer runs."""
        return self._timer is not None

    async def run(self) -> None:
        """Be a plug until cancelled."""
        meter = asyncio.create_task(self._watch_meter(), name=f"{self._topic}: meter")
        try:
            await super().run()
        finally:
            meter.cancel()
            self.disarm()

    def press(self) -> None:
        """A hand presses its button."""
        self.switch(not self.relay)

    def switch(self, on: bool) -> None:
        """Move the relay, by whomever, and say so."""
        if on or not self.ignores_off:
            self.relay = on
        self._move()
        self.relay_moved()
        self.say_state()

    def arm(self, seconds: float) -> None:
        """(Re)start its own timer, policy seconds."""
        self.disarm()
        self._timer = asyncio.create_task(self._run_out(seconds), name=f"{self._topic}: timer")

    def disarm(self) -> None:
        """Stop its own timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def relay_moved(self) -> None:
        """What the firmware does with its timer when the relay was switched."""
        if not self.relay:
            self.disarm()

    def timer_ran_out(self) -> None:
        """What the firmware does when its timer has run out."""
        self.switch(False)

    def say_state(self) -> None:
        """Publish the relay's state as this device does."""

    def say_watts(self) -> None:
        """Publish the watts as this device does."""

    def born(self) -> None:
        """Say both."""
        self.say_state()
        self.say_watts()

    def _move(self) -> None:
        contact = self.relay or (self.welded and self.contact)
        if contact != self.contact:
            self.contact = contact
            self._on_change(contact)

    async def _run_out(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timer = None
        self.timer_ran_out()

    async def _watch_meter(self) -> None:
        said, at = -1.0, -METER_BEAT
        while True:
            await self._clock.sleep(METER_STEP)
            watts, now = self.watts, self._clock.now().mono
            if abs(watts - said) > METER_DELTA * max(said, 1.0) or now - at >= METER_BEAT:
                said, at = watts, now
                self.say_watts()


class Firmware(StrEnum):
    """What a Zigbee plug makes of `on_time`; all four were seen in the wild."""

    GOOD = "good"
    DELAYED_TOGGLE = "delayed_toggle"  # the timer survives an OFF and then toggles: the relay comes on again
    IGNORES = "ignores"
    MODULO_256 = "modulo_256"  # 360 s become 104 s


class ZigbeePlug(MqttPlug):
    """A Zigbee plug behind zigbee2mqtt; unit: a gang like "l1", or nothing. firmware: settable."""

    firmware = Firmware.GOOD

    @property
    def _key(self) -> str:
        return f"state_{self._unit}" if self._unit else "state"

    def filters(self) -> tuple[str, ...]:
        """Its two topics."""
        return (f"{self._topic}/set", f"{self._topic}/get")

    def will(self) -> tuple[str, str, str]:
        """Availability in today's form."""
        return f"{self._topic}/availability", '{"state":"online"}', '{"state":"offline"}'

    def heard(self, topic: str, payload: bytes) -> None:
        """Carry out `/set`, answer `/get`; anything that is no JSON object is ignored, as zigbee2mqtt does."""
        wish = _object(payload)
        if wish is None or self._key not in wish:
            return
        if topic.endswith("/get"):
            self.say_state()
            return
        on_time = wish.get("on_time")
        match str(wish[self._key]).lower():
            case "on":
                self.switch(True)
                if isinstance(on_time, int) and on_time > 0:
                    self._arm_as_built(on_time)
            case "off":
                self.switch(False)
            case "toggle":
                self.switch(not self.relay)

    def relay_moved(self) -> None:
        """Any plain order drops a good firmware's timer."""
        if self.firmware is not Firmware.DELAYED_TOGGLE:
            self.disarm()

    def timer_ran_out(self) -> None:
        """Open, or toggle."""
        self.switch(self.firmware is Firmware.DELAYED_TOGGLE and not self.relay)

    def say_state(self) -> None:
        """One JSON with all."""
        self.say(self._topic, {self._key: "ON" if self.relay else "OFF", "power": self.watts, "linkquality": 120})

    def say_watts(self) -> None:
        """The same JSON."""
        self.say_state()

    def born(self) -> None:
        """One message is all."""
        self.say_state()

    def _arm_as_built(self, seconds: int) -> None:
        match self.firmware:
            case Firmware.IGNORES:
                pass
            case Firmware.MODULO_256:
                self.arm(seconds % 256)
            case Firmware.GOOD | Firmware.DELAYED_TOGGLE:
                self.arm(seconds)


class ShellyPlug(MqttPlug):
    """A Shelly of generation 2 or later: JSON-RPC in, answers to `<src>/rpc`, notifications of what changed."""

    @property
    def _id(self) -> int:
        return int(self._unit or "0")

    def filters(self) -> tuple[str, ...]:
        """Where it is called."""
        return (f"{self._topic}/rpc",)

    def will(self) -> tuple[str, str, str]:
        """Online, or not."""
        return f"{self._topic}/online", "true", "false"

    def heard(self, _topic: str, payload: bytes) -> None:
        """Answer one call."""
        call = _object(payload)
        if call is None or not isinstance(call.get("src"), str):
            return
        params = call.get("params")
        params = params if isinstance(params, dict) else {}
        match call.get("method"), params.get("id"):
            case "Switch.Set" | "Switch.GetStatus", wrong if wrong != self._id:
                answer: dict[str, Json] = {
                    "error": {"code": -105, "message": f"Argument 'id', value {wrong} not found!"}
                }
            case "Switch.Set", _:
                answer = {"result": {"was_on": self.relay}}
                self.switch(params.get("on") is True)
                after = params.get("toggle_after")
                if self.relay and isinstance(after, (int, float)):
                    self.arm(after)
            case "Switch.GetStatus", _:
                status: Json = {"id": self._id, "source": "MQTT", "output": self.relay, "apower": self.watts}
                answer = {"result": status}
            case method, _:
                answer = {"error": {"code": 404, "message": f"No handler for {method}"}}
        self.say(f"{call['src']}/rpc", {"id": call.get("id"), "src": self._topic, "dst": call["src"], **answer})

    def relay_moved(self) -> None:
        """Any order drops the flip-back timer; Switch.Set arms it anew."""
        self.disarm()

    def say_state(self) -> None:
        """Notify of the output alone."""
        self._notify({"id": self._id, "output": self.relay, "source": "MQTT"})

    def say_watts(self) -> None:
        """Notify of the watts alone."""
        self._notify({"id": self._id, "apower": self.watts})

    def born(self) -> None:
        """A Shelly says nothing of its switch when it connects: it must be asked."""

    def _notify(self, delta: dict[str, Json]) -> None:
        params: dict[str, Json] = {"ts": round(self._clock.now().utc.timestamp(), 2), f"switch:{self._id}": delta}
        said: dict[str, Json] = {"src": self._topic, "dst": f"{self._topic}/events", "method": "NotifyStatus"}
        self.say(f"{self._topic}/events/rpc", {**said, "params": params})


class PlainPlug(MqttPlug):
    """A relay with plain text topics: ESPHome (`topic` the node, unit the switch); it has no timer."""

    @property
    def _base(self) -> str:
        return f"{self._topic}/switch/{self._unit}"

    def filters(self) -> tuple[str, ...]:
        """Its command topic."""
        return (f"{self._base}/command",)

    def will(self) -> tuple[str, str, str]:
        """ESPHome's birth and will."""
        return f"{self._topic}/status", "online", "offline"

    def heard(self, _topic: str, payload: bytes) -> None:
        """Obey the two words."""
        if payload in (b"ON", b"OFF"):
            self.switch(payload == b"ON")

    def say_state(self) -> None:
        """Say it retained, as ESPHome does."""
        self.say(f"{self._base}/state", "ON" if self.relay else "OFF", retain=True)

    def say_watts(self) -> None:
        """A power sensor of the same node."""
        self.say(f"{self._topic}/sensor/{self._unit}_power/state", f"{self.watts:.2f}")


def _object(payload: bytes) -> Mapping[str, Json] | None:
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Json]", found) if isinstance(found, dict) else None
