"""What is worth a row: each step of a chain and each change, not each retry."""

from collections import Counter
from datetime import UTC, datetime

from homebridge_svc.core.events import OrderFinished, TimeReached
from homebridge_svc.core.model import DeviceView, Now
from homebridge_svc.core.orders import Decision, Outcome, Refusal, Result, SwitchOff, Wake
from homebridge_svc.ports import Row
from homebridge_svc.publish.chronicle import ChronicleWriter

NOW = Now(datetime(2026, 11, 20, tzinfo=UTC), 0.0)


class Clock:
    def now(self) -> Now:
        return NOW


class Rows(list[Row]):
    """Stands where the journal does: it only takes rows."""


def writer() -> tuple[ChronicleWriter, Rows]:
    rows = Rows()
    return ChronicleWriter(rows, Clock()), rows  # type: ignore[arg-type]


def kinds(rows: Rows) -> Counter[str]:
    return Counter(row.kind for row in rows)


def test_an_order_that_is_repeated_to_a_dead_plug_is_one_row_and_its_failing_another() -> None:
    chronicle, rows = writer()
    for minute in range(100):
        out = Decision(f"t{minute}")
        order = out.order("plug", SwitchOff(), command="c1", reason="off until it is read back", expires=60.0)
        chronicle.told(TimeReached(f"t{minute}", NOW), out, {})
        result = Result.DONE if minute == 99 else Result.UNREACHABLE
        chronicle.told(OrderFinished(f"f{minute}", NOW, order, Outcome(result)), Decision(f"f{minute}"), {})
    assert kinds(rows) == {"sent": 1, "failed": 1, "confirmed": 1}


def test_the_same_order_for_another_command_is_news() -> None:
    chronicle, rows = writer()
    for number in range(3):
        out = Decision(f"e{number}")
        out.order("tv.udp", Wake(), command=f"c{number}", reason="power on by udp", expires=60.0)
        chronicle.told(TimeReached(f"e{number}", NOW), out, {})
    assert kinds(rows) == {"sent": 3}


def test_a_refusal_that_repeats_itself_is_one_row() -> None:
    chronicle, rows = writer()
    for minute in range(100):
        out = Decision(f"t{minute}")
        order = out.order("plug", SwitchOff(), command=None, reason="off", expires=60.0)
        out.orders, out.refusals = [], [Refusal(order, "dry run", "nothing is moved")]
        chronicle.told(TimeReached(f"t{minute}", NOW), out, {})
    assert kinds(rows) == {"refused": 1}


def test_a_reason_that_nobody_asked_for_is_written_again_when_the_device_has_changed() -> None:
    chronicle, rows = writer()
    for phase in ("off", "off", "off", "on", "off"):
        out = Decision("t")
        out.note(None, "tv", "semantics 10", "mains stay on: it still answers")
        view = DeviceView("tv", "projector", "tv", available=True, state={"phase": phase})
        chronicle.told(TimeReached("t", NOW), out, {"tv": view})
    assert kinds(rows) == {"decided": 3, "changed": 2}
