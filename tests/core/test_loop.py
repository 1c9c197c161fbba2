"""Pipe physics against published examples, its own table, and conservation laws."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebridge_svc.core.hot_water.loop import (
    FOAM,
    WATER_PER_LITRE,
    Pipe,
    PlugFlow,
    Slug,
    bore_volume,
    cooling,
    film_resistance,
    holding_heat,
    mixed,
    purge_time,
    repurge_heat,
    shell_resistance,
    steady,
    tau_from,
)

INCH, FOOT, GALLON = 0.0254, 0.3048, 3.785411784
BTU_PER_LB_F = 1.0  # water, in the units of the published examples
NINE_MM = 0.009


@pytest.mark.parametrize(("gpm", "seconds"), [(2.2, 47.5), (1.5, 69.7)])
def test_e1_purge_time_of_a_published_copper_line(gpm: float, seconds: float) -> None:
    litres = 60 * FOOT * bore_volume(0.811 * INCH) + 10 * FOOT * bore_volume(0.569 * INCH)
    assert litres / (gpm * GALLON) * 60 == pytest.approx(seconds, rel=0.02)


def test_e2_a_bare_half_inch_pipe_cools() -> None:
    loss = 1 / film_resistance(2 * 0.3125 / 12, 1.5)
    tau = 0.085 * BTU_PER_LB_F / loss * 60  # minutes
    assert tau == pytest.approx(21, rel=0.02)
    assert cooling(110, 70, 57, tau) == pytest.approx(72.7, rel=0.02)


def test_e3_the_same_pipe_with_foam() -> None:
    resistance = shell_resistance(2 * 0.3125, 2 * 0.6875, 0.021) + film_resistance(2 * 0.6875 / 12, 1.5)
    tau = 0.085 * BTU_PER_LB_F * resistance * 60
    assert tau == pytest.approx(40, rel=0.02)
    assert cooling(110, 70, 57, tau) == pytest.approx(79.6, rel=0.02)


def test_e4_tau_from_two_temperatures() -> None:
    assert tau_from(110, 90, 70, 22) == pytest.approx(31.7, rel=0.01)


def test_e5_always_hot_against_two_draws_a_day() -> None:
    hours, capacity, tau = 8760.0, 75 * 0.085, 75 * 0.085 / (75 * 27)  # excess counted in W per ft: 1 kelvin's worth
    assert holding_heat(capacity, tau, 1.0, hours) / 1e6 == pytest.approx(17.75, rel=0.01)
    draw = 0.76 * GALLON * 0.45359237**-1 * 0.998  # lb: the published 8.34 lb per gallon
    assert 2 * 365 * repurge_heat(draw, 1.0, 52, math.inf) / 1e6 == pytest.approx(0.24, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "litres", "bare", "foam"),
    [
        ("copper15", 0.133, (16.5, 25), (7.7, 54)),
        ("copper22", 0.314, (24.2, 37), (10.0, 90)),
        ("ppr20", 0.163, (19.3, 29), (8.8, 63)),
        ("ppr25", 0.254, (23.5, 37), (10.2, 85)),
        ("pex16", 0.113, (16.6, 23), (7.8, 50)),
        ("pex20", 0.201, (20.8, 31), (9.1, 70)),
    ],
)
def test_the_table_of_pipes(kind: str, litres: float, bare: tuple[float, int], foam: tuple[float, int]) -> None:
    naked, clad = Pipe(1.0, kind), Pipe(1.0, kind, NINE_MM)
    assert naked.volume == pytest.approx(litres, abs=0.001)
    assert (naked.loss * 35, clad.loss * 35) == pytest.approx((bare[0], foam[0]), rel=0.02)
    assert (naked.tau / 60, clad.tau / 60) == pytest.approx((bare[1], foam[1]), rel=0.1)


def test_the_reference_loop_is_purged_in_about_a_hundred_seconds() -> None:
    loop = [Pipe(20.0, "ppr25", NINE_MM), Pipe(20.0, "ppr20", NINE_MM)]
    assert purge_time(loop, 5.0) == pytest.approx((5.09 + 3.26) / 5 * 60, rel=0.01)
    assert purge_time(loop, 5.0, mixing=1.3) == pytest.approx(1.3 * purge_time(loop, 5.0))


@given(st.floats(1.0, 1e6), st.floats(1.0, 1e5), st.floats(0.0, 80.0), st.floats(0.0, 1e7))
def test_cooling_and_purging_again_never_costs_more_than_holding(
    heat: float, tau: float, excess: float, t: float
) -> None:
    assert repurge_heat(heat, tau, excess, t) <= holding_heat(heat, tau, excess, t) * (1 + 1e-12) + 1e-12  # joules


def test_standing_water_follows_the_cooling_curve() -> None:
    pipe = Pipe(20.0, "ppr25", NINE_MM)
    line = PlugFlow(pipe, 20.0, 45.0)
    line.advance(1800.0)
    assert line.outlet == pytest.approx(cooling(45.0, 20.0, 1800.0, pipe.tau))


def test_steady_flow_follows_the_exponential_along_the_pipe() -> None:
    pipe = Pipe(40.0, "copper15")
    line = PlugFlow(pipe, 20.0, 20.0)
    line.advance(3600.0, 2.0, 55.0)
    for share in (0.0, 0.3, 0.7, 1.0):
        assert line.temperature(share) == pytest.approx(steady(55.0, 20.0, share * 40.0, pipe.loss, 2.0), abs=1e-6)


def test_a_front_arrives_when_its_own_heat_has_passed_and_not_before() -> None:
    pipe = Pipe(20.0, "ppr20", NINE_MM)
    line = PlugFlow(pipe, 20.0, 20.0)
    needed = line.litres / 5.0 * 60
    assert needed > purge_time([pipe], 5.0)  # the wall takes its share
    line.advance(needed - 1.0, 5.0, 45.0)
    assert line.outlet == 20.0
    line.advance(2.0, 5.0, 45.0)
    assert line.outlet > 44.0


@given(
    st.lists(st.tuples(st.floats(0.1, 400.0), st.sampled_from([0.0, 2.0, 5.0, 12.0]), st.floats(5.0, 60.0)), max_size=8)
)
def test_one_long_step_equals_many_short_ones(history: list[tuple[float, float, float]]) -> None:
    coarse, fine = (PlugFlow(Pipe(12.0, "pex16", NINE_MM), 20.0, 33.0) for _ in range(2))
    for seconds, flow, inlet in history:
        coarse.advance(seconds, flow, inlet)
        for _ in range(16):
            fine.advance(seconds / 16, flow, inlet)
    for share in (0.13, 0.51, 0.87):
        near = [coarse.temperature(share + nudge) for nudge in (-0.003, 0.0, 0.003)]  # a front is a step
        assert min(near) - 0.3 <= fine.temperature(share) <= max(near) + 0.3
    assert len(fine.slugs) < 60


@given(st.floats(1.0, 900.0), st.floats(0.5, 12.0), st.floats(5.0, 60.0), st.floats(5.0, 60.0))
def test_pushing_in_pushes_the_same_litres_out(seconds: float, flow: float, start: float, inlet: float) -> None:
    line = PlugFlow(Pipe(20.0, "ppr25"), 20.0, start)
    left = line.advance(seconds, flow, inlet)
    assert math.fsum(s.litres for s in left) == pytest.approx(flow / 60 * seconds)
    assert math.fsum(s.litres for s in line.slugs) == pytest.approx(line.litres)
    assert min(20.0, start, inlet) - 1e-6 <= mixed(left) <= max(20.0, start, inlet) + 1e-6


@given(st.floats(10.0, 2000.0))
def test_heat_that_entered_has_left_or_stays_when_nothing_is_lost(seconds: float) -> None:
    line = PlugFlow(Pipe(20.0, "ppr25", 10.0), 20.0, 20.0)  # ten metres of foam: next to no loss
    left = line.advance(seconds, 5.0, 45.0)
    out = math.fsum(s.litres * ((s.front + s.back) / 2 - 20) for s in left)
    inside = math.fsum(s.litres * ((s.front + s.back) / 2 - 20) for s in line.slugs)
    assert (out + inside) * WATER_PER_LITRE == pytest.approx(5.0 / 60 * seconds * 25 * WATER_PER_LITRE, rel=0.1)


def test_supply_and_return_in_series_are_a_longer_pipe() -> None:
    long = PlugFlow(Pipe(40.0, "ppr20", NINE_MM), 20.0, 25.0)
    supply, back = (PlugFlow(Pipe(20.0, "ppr20", NINE_MM), 20.0, 25.0) for _ in range(2))
    for seconds, flow, inlet in [(70.0, 5.0, 45.0), (600.0, 0.0, 0.0), (50.0, 4.0, 40.0), (200.0, 5.0, 45.0)]:
        long.advance(seconds, flow, inlet)
        back.advance(seconds, flow, supply.advance(seconds, flow, inlet))
        assert back.outlet == pytest.approx(long.outlet, abs=0.1)
        assert back.temperature(0.5) == pytest.approx(long.temperature(0.75), abs=0.1)


def test_between_its_ends_a_slug_is_exponential() -> None:
    assert Slug(1.0, 60.0, 30.0).at(0.5, 20.0) == pytest.approx(40.0)
    assert Slug(1.0, 19.9, 20.1).at(0.5, 20.0) == pytest.approx(20.0)


def test_foam_is_worth_more_than_half_of_the_loss_of_thin_pipes() -> None:
    assert FOAM < 0.04
    assert Pipe(1.0, "pex16", NINE_MM).loss < 0.5 * Pipe(1.0, "pex16").loss
