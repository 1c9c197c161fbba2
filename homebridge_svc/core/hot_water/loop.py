"""Pipe physics: how much water stands in a pipe, how fast it cools, when hot water has come through.

Theory. A metre of pipe is water and wall at one temperature (the wall is thin) with the heat capacity C', losing
UA' per kelvin to its surroundings. With water passing at the heat-capacity flow m'c this is

    C' dT/dt + m'c dT/dx = -UA' (T - T_a)

Along a line that moves with m'c / C' it reads dT/dt = -(T - T_a) / tau, tau = C' / UA'. So every parcel cools with
the same tau whether it moves or stands, and a front moves slower than the water by the share of heat that the wall
takes. `PlugFlow` follows the parcels: exact between two events, however long the step is. Standing still it gives
the cooling curve, at steady flow T(x) = T_a + (T_in - T_a) e^(-UA'x / m'c).

SI units (metres, seconds, joules, watts, kelvin or degrees Celsius); flows in litres per minute, volumes in litres.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

WATER_HEAT = 4186.0  # J/(kg K)
WATER_DENSITY = 988.0  # kg/m3 at 50 degrees Celsius
WATER_PER_LITRE = WATER_HEAT * WATER_DENSITY / 1000  # J/(L K)
FILM = 10.0  # W/(m2 K), outer surface to a still room, radiation included
FOAM = 0.035  # W/(m K)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a pipe is made of. outer and wall in metres, k in W/(m K), wall_heat in J/(m3 K)."""

    outer: float
    wall: float
    k: float
    wall_heat: float


COPPER = (380.0, 8940 * 385.0)
PPR = (0.24, 900 * 1900.0)
PEX = (0.38, 940 * 2300.0)
KINDS: Mapping[str, Kind] = {
    "copper15": Kind(0.015, 0.001, *COPPER),
    "copper22": Kind(0.022, 0.001, *COPPER),
    "ppr20": Kind(0.020, 0.0028, *PPR),
    "ppr25": Kind(0.025, 0.0035, *PPR),
    "pex16": Kind(0.016, 0.002, *PEX),
    "pex20": Kind(0.020, 0.002, *PEX),
}


def bore_volume(inner: float) -> float:
    """Litres per metre of a bore `inner` metres wide."""
    return math.pi * inner**2 / 4 * 1000


def shell_resistance(inner: float, outer: float, k: float) -> float:
    """Thermal resistance of a cylindrical shell, per length: any consistent units."""
    return math.log(outer / inner) / (2 * math.pi * k)


def film_resistance(diameter: float, h: float) -> float:
    """Thermal resistance of a surface to the room, per length: any consistent units."""
    return 1 / (h * math.pi * diameter)


@dataclass(frozen=True, slots=True)
class Pipe:
    """A piece of pipe: length and insulation (foam thickness) in metres, kind one of KINDS."""

    length: float
    kind: str
    insulation: float = 0.0

    @property
    def volume(self) -> float:
        """Water in it, litres."""
        return self.length * bore_volume(self._inner)

    @property
    def loss(self) -> float:
        """UA' in W/(m K)."""
        kind = KINDS[self.kind]
        skin = kind.outer + 2 * self.insulation
        wall = shell_resistance(self._inner, kind.outer, kind.k)
        return 1 / (wall + shell_resistance(kind.outer, skin, FOAM) + film_resistance(skin, FILM))

    @property
    def heat(self) -> float:
        """C' in J/(m K), water and wall."""
        kind = KINDS[self.kind]
        wall_area = math.pi / 4 * (kind.outer**2 - self._inner**2)
        return WATER_PER_LITRE * bore_volume(self._inner) + kind.wall_heat * wall_area

    @property
    def tau(self) -> float:
        """Time constant of cooling, seconds. A wide prior: measured loops need half of it (learn it)."""
        return self.heat / self.loss

    @property
    def _inner(self) -> float:
        kind = KINDS[self.kind]
        return kind.outer - 2 * kind.wall


def purge_time(pipes: Iterable[Pipe], flow: float, mixing: float = 1.0) -> float:
    """Seconds until `flow` (L/min) has replaced the water of all pipes; mixing: 1.0 a plug, 1.1 to 1.5 real."""
    return mixing * math.fsum(pipe.volume for pipe in pipes) / flow * 60


def cooling(start: float, ambient: float, seconds: float, tau: float) -> float:
    """Temperature after `seconds` of standing."""
    return ambient + (start - ambient) * math.exp(-seconds / tau)


def tau_from(start: float, end: float, ambient: float, seconds: float) -> float:
    """Tau in the unit of `seconds`, from two temperatures of standing water on one side of ambient."""
    return seconds / math.log((start - ambient) / (end - ambient))


def steady(inlet: float, ambient: float, x: float, loss: float, flow: float) -> float:
    """Temperature `x` metres down a pipe of UA' = `loss` at a steady `flow` (L/min)."""
    return ambient + (inlet - ambient) * math.exp(-loss * x / (flow / 60 * WATER_PER_LITRE))


def holding_heat(heat: float, tau: float, excess: float, seconds: float) -> float:
    """Joules to hold `heat` J/K at `excess` kelvin above ambient for `seconds`."""
    return heat / tau * excess * seconds


def repurge_heat(heat: float, tau: float, excess: float, seconds: float) -> float:
    """Joules to warm it up again after it cooled for `seconds`: never more than holding."""
    return heat * excess * -math.expm1(-seconds / tau)


@dataclass(frozen=True, slots=True)
class Slug:
    """A piece of water. front leaves first; between front and back the excess over ambient is exponential."""

    litres: float
    front: float
    back: float

    def at(self, share: float, ambient: float) -> float:
        """Temperature at `share` (0 front, 1 back) of its length."""
        front, back = self.front - ambient, self.back - ambient
        if front * back <= 0:  # only noise has two signs; a straight line will do
            return ambient + front + (back - front) * share
        return ambient + front * math.pow(back / front, share)


def mixed(slugs: Sequence[Slug]) -> float:
    """Mean temperature of some water, as a bucket would show it; the slugs are short, so straight lines will do."""
    litres = math.fsum(slug.litres for slug in slugs)
    return math.fsum(slug.litres * (slug.front + slug.back) / 2 for slug in slugs) / litres


class PlugFlow:
    """One pipe with water of many temperatures in it.

    Positions are counted in litres of equal heat (water and wall), so that pushing q litres in pushes q litres out.
    Put pipes in series by giving one's outflow to the next. Slugs closer than MERGE kelvin become one.
    """

    MERGE = 0.05

    def __init__(self, pipe: Pipe, ambient: float, temperature: float) -> None:
        self.ambient = ambient
        self._tau = pipe.tau
        self._capacity = pipe.length * pipe.heat / WATER_PER_LITRE
        self._slugs = [Slug(self._capacity, temperature, temperature)]  # outlet first

    @property
    def litres(self) -> float:
        """Litres of hot water that bring a front from inlet to outlet: more than the bore holds, by the wall's heat."""
        return self._capacity

    @property
    def outlet(self) -> float:
        """Temperature at the far end now."""
        return self._slugs[0].front

    @property
    def slugs(self) -> tuple[Slug, ...]:
        """What stands in it, outlet first."""
        return tuple(self._slugs)

    def temperature(self, share: float) -> float:
        """Temperature at `share` of the way from inlet (0) to outlet (1)."""
        depth = (1 - share) * self._capacity
        for slug in self._slugs:
            if depth <= slug.litres:
                return slug.at(depth / slug.litres, self.ambient)
            depth -= slug.litres
        return self._slugs[-1].back

    def advance(self, seconds: float, flow: float = 0.0, inlet: float | Sequence[Slug] = 0.0) -> tuple[Slug, ...]:
        """Let time pass at a constant flow (L/min); return what left, in order, as warm as it was when it left.

        inlet: the temperature of the inflow, or what left the pipe before this one in the same step (same litres).
        """
        litres = flow / 60 * seconds
        inflow = [Slug(litres, inlet, inlet)] if isinstance(inlet, int | float) else list(inlet)

        def cooled(slug: Slug, begin: float) -> Slug:
            end = begin + slug.litres
            return replace(slug, front=self._aged(slug.front, inside(begin)), back=self._aged(slug.back, inside(end)))

        def inside(place: float) -> float:
            """Seconds of this step that the parcel `place` litres behind the outlet spends in the pipe."""
            if litres <= 0:
                return seconds
            return (min(place, litres) - max(0.0, place - self._capacity)) / litres * seconds

        left: list[Slug] = []
        stays: list[Slug] = []
        begin = 0.0
        for slug in self._slugs + (inflow if litres > 0 else []):
            first, rest = self._cut(slug, litres - begin)
            if first:
                left.append(cooled(first, begin))
            if rest:
                stays.append(cooled(rest, begin + (first.litres if first else 0.0)))
            begin += slug.litres
        self._slugs = self._merged(stays)
        return tuple(left)

    def _aged(self, temperature: float, seconds: float) -> float:
        return cooling(temperature, self.ambient, seconds, self._tau)

    def _cut(self, slug: Slug, litres: float) -> tuple[Slug | None, Slug | None]:
        """Cut the first `litres` off."""
        if litres <= 0:
            return None, slug
        if litres >= slug.litres:
            return slug, None
        there = slug.at(litres / slug.litres, self.ambient)
        return Slug(litres, slug.front, there), Slug(slug.litres - litres, there, slug.back)

    def _merged(self, slugs: list[Slug]) -> list[Slug]:
        """Join neighbours that are as warm as each other, so that a year of short steps stays a short list."""
        merged = slugs[:1]
        for slug in slugs[1:]:
            last = merged[-1]
            ends = (last.front, last.back, slug.front, slug.back)
            if max(ends) - min(ends) < self.MERGE:
                merged[-1] = Slug(last.litres + slug.litres, last.front, slug.back)
            else:
                merged.append(slug)
        return merged
