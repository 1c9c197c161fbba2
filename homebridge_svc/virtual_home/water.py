"""A hot-water loop in a virtual flat: heater, supply pipe, tap, return pipe, pump; physics from core.hot_water.loop.

The state is computed when somebody looks: between two looks the flow is constant, and `PlugFlow` is exact for that.
Steps are kept short only while water moves, because the heater's inlet is what the return pipe gives back.
"""

from __future__ import annotations

from collections.abc import Callable

from homebridge_svc.core.hot_water.loop import Pipe, PlugFlow

STEP = 1.0  # seconds: the longest stretch of flow computed at once
SENSOR_LAG = 4.0  # seconds: a probe taped to a pipe follows late


class GasHeater:
    """A tankless gas heater: lights above its ignition flow after a delay, and then gives its outlet temperature."""

    def __init__(self, *, outlet: float = 45.0, ignition_flow: float = 2.5, delay: float = 3.0) -> None:
        self.outlet = outlet
        self.ignition_flow = ignition_flow
        self.delay = delay
        self.broken = False
        self._flowing = 0.0  # seconds of sufficient flow so far

    def heat(self, inlet: float, flow: float, seconds: float) -> float:
        """Outlet temperature in °C after `seconds` at `flow` L/min with water of `inlet` °C coming in."""
        if flow < self.ignition_flow or self.broken:
            self._flowing = 0.0
            return inlet
        self._flowing += seconds
        return max(inlet, self.outlet) if self._flowing > self.delay else inlet


class WaterLoop:
    """20 m of supply and 20 m of return pipe with a pump that a relay switches. mono: reads policy seconds.

    pump_flow in L/min, pump_watts in W. `dry` lets the pump run without water, `jammed` lets it stand still.
    """

    def __init__(
        self,
        mono: Callable[[], float],
        *,
        heater: GasHeater | None = None,
        ambient: float = 20.0,
        pump_flow: float = 5.0,
        pump_watts: float = 40.0,
    ) -> None:
        self.heater = heater or GasHeater()
        self.pump_flow = pump_flow
        self.pump_watts = pump_watts
        self.dry = False
        self.jammed = False
        self.pumped_seconds = 0.0  # policy seconds that the pump has run in all
        self.longest_run = 0.0  # policy seconds of the longest stretch
        self.starts = 0
        self._mono = mono
        self._supply = PlugFlow(Pipe(20.0, "ppr25", 0.009), ambient, ambient)
        self._return = PlugFlow(Pipe(20.0, "ppr20", 0.009), ambient, ambient)
        self._probe = ambient
        self._on = False
        self._seen = mono()
        self._run = 0.0

    @property
    def on(self) -> bool:
        """The pump has power."""
        return self._on

    def switch(self, on: bool) -> None:
        """The relay closes or opens."""
        self._advance()
        if on and not self._on:
            self.starts += 1
            self._run = 0.0
        self._on = on

    @property
    def flow(self) -> float:
        """Litres per minute through the loop."""
        return self.pump_flow if self._on and not self.dry and not self.jammed else 0.0

    @property
    def watts(self) -> float:
        """What the pump draws: a dry one a third, a jammed one nothing."""
        if not self._on or self.jammed:
            return 0.0
        return self.pump_watts * (0.35 if self.dry else 1.0)

    @property
    def tap(self) -> float:
        """Temperature at the tap, at the end of the supply pipe, °C."""
        self._advance()
        return self._supply.outlet

    @property
    def back(self) -> float:
        """What the probe on the return pipe, just before the heater, shows, °C."""
        self._advance()
        return self._probe

    def _advance(self) -> None:
        left = self._mono() - self._seen
        self._seen += left
        if self._on:
            self.pumped_seconds += left
            self._run += left
            self.longest_run = max(self.longest_run, self._run)
        while left > 0:
            step = min(left, STEP) if self.flow else left
            left -= step
            inlet = self.heater.heat(self._return.outlet, self.flow, step)
            self._return.advance(step, self.flow, self._supply.advance(step, self.flow, inlet))
            self._probe += (self._return.outlet - self._probe) * min(1.0, step / SENSOR_LAG)
