"""The projector itself, behind all its channels: mains, boot, sleep, lamp, fan, Android's few facts.

Channels (adbd.py, xgimi_udp.py, ir_receiver.py, the stock remote in hand.py) all move this one body, so fall-back
can be watched end to end. Time is policy time from the shared clock; nothing runs in the background: the state is
computed when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Body(StrEnum):
    """What the machine really does."""

    DARK = "dark"  # no mains
    BOOTING = "booting"
    AWAKE = "awake"
    LIGHT_OFF = "light_off"  # awake, light engine off
    COOLING = "cooling"  # told to sleep, fan runs on
    ASLEEP = "asleep"


WATTS = {  # a Z6X-class machine
    Body.DARK: 0.0,
    Body.BOOTING: 55.0,
    Body.AWAKE: 95.0,
    Body.LIGHT_OFF: 22.0,
    Body.COOLING: 14.0,
    Body.ASLEEP: 0.6,
}


@dataclass(slots=True)
class ProjectorBody:
    """One projector. mono: reads policy seconds. boot_time and cool_time in seconds.

    auto_boot: it boots when mains return (上电自动开机). asleep_network: it keeps its network while asleep.
    violent_cuts counts mains lost while it was anything but asleep or dark: must stay 0 in every scenario.
    """

    mono: Callable[[], float]
    boot_time: float = 25.0
    cool_time: float = 20.0
    auto_boot: bool = True
    asleep_network: bool = False
    mains: bool = True
    volume: int = 15
    volume_max: int = 30
    muted: bool = False
    app: str = "com.xgimi.home"
    input: str = "home"
    keys: list[str] = field(default_factory=list)  # neutral key names, in the order they took effect
    violent_cuts: int = 0
    booted_at: float = 0.0
    _state: Body = Body.ASLEEP
    _since: float = 0.0

    def __post_init__(self) -> None:
        if not self.mains:
            self._state = Body.DARK

    @property
    def state(self) -> Body:
        """The state now; boot and cooling end by themselves."""
        passed = self.mono() - self._since
        if self._state is Body.BOOTING and passed >= self.boot_time:
            self.booted_at = self._since
            self._become(Body.AWAKE, self._since + self.boot_time)
        elif self._state is Body.COOLING and passed >= self.cool_time:
            self._become(Body.ASLEEP, self._since + self.cool_time)
        return self._state

    @property
    def watts(self) -> float:
        """Power drawn from the plug, watts."""
        return WATTS[self.state]

    @property
    def listening(self) -> bool:
        """Its network is up and its software answers."""
        return self.state in (Body.AWAKE, Body.LIGHT_OFF) or (self.asleep_network and self.state is Body.ASLEEP)

    @property
    def awake(self) -> bool:
        """It takes orders."""
        return self.state in (Body.AWAKE, Body.LIGHT_OFF)

    def set_mains(self, on: bool) -> None:
        """The plug closes or opens."""
        if on == self.mains:
            return
        if not on and self.state not in (Body.ASLEEP, Body.DARK):
            self.violent_cuts += 1
        self.mains = on
        if not on:
            self._become(Body.DARK)
        else:
            self._become(Body.BOOTING if self.auto_boot else Body.ASLEEP)

    def wake(self) -> None:
        """Wake from standby, as by remote, BLE or key 224."""
        if self.state in (Body.ASLEEP, Body.COOLING):  # with its network up it only slept: that is no boot
            self._become(Body.AWAKE if self.asleep_network else Body.BOOTING)

    def sleep(self) -> None:
        """Soft off."""
        if self.state in (Body.AWAKE, Body.LIGHT_OFF):
            self._become(Body.COOLING)

    def light(self, on: bool) -> None:
        """Light engine on or off while the system stays up."""
        if self.state in (Body.AWAKE, Body.LIGHT_OFF):
            self._become(Body.AWAKE if on else Body.LIGHT_OFF)

    def press(self, key: str) -> None:
        """A key took effect; volume and mute follow."""
        if not self.awake:
            return
        self.keys.append(key)
        if key == "volume_up":
            self.volume = min(self.volume_max, self.volume + 1)
        elif key == "volume_down":
            self.volume = max(0, self.volume - 1)
        elif key == "mute":
            self.muted = not self.muted

    def _become(self, state: Body, at: float | None = None) -> None:
        self._state = state
        self._since = self.mono() if at is None else at
