"""Who asks is told, and only what concerns the one who asked."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from homebridge_svc.core.events import CommandHeard, Delivery, Event
from homebridge_svc.core.model import Now
from homebridge_svc.core.orders import Decision, Say
from homebridge_svc.publish.desk import FrontDesk

NOW = Now(datetime(2026, 11, 20, tzinfo=UTC), 0.0)


def command() -> CommandHeard:
    return CommandHeard("same", NOW, "web", "run", "bathroom", Delivery(has_id=True))


def desk(answer: Callable[[Event, Decision], None]) -> FrontDesk:
    def post(event: Event) -> bool:
        out = Decision(event.id)
        answer(event, out)
        made.told(event, out, {})
        return True

    made = FrontDesk(post, None, dict)  # type: ignore[arg-type]
    return made


async def test_who_repeats_an_id_hears_duplicate_and_who_asked_first_hears_the_end() -> None:
    begun: list[Event] = []

    def answer(event: Event, out: Decision) -> None:
        out.answer(event.id, "bathroom", Say.DUPLICATE if begun else Say.ACCEPTED, "why")
        begun.append(event)

    front = desk(answer)
    first = asyncio.create_task(front.ask(command(), wait=5))
    await asyncio.sleep(0)
    assert [each.say for each in await front.ask(command(), wait=5)] == [Say.DUPLICATE]
    out = Decision("end")
    out.answer("same", "bathroom", Say.DONE, "it is warm")
    front.told(begun[0], out, {})
    assert [each.say for each in await first] == [Say.ACCEPTED, Say.DONE]


async def test_nobody_waits_longer_than_asked() -> None:
    assert await desk(lambda _event, _out: None).ask(command(), wait=0.01) == []
