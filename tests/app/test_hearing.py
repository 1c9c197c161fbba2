"""From MQTT messages to events: what is bounded before anything else sees it."""

from datetime import UTC, datetime
from pathlib import Path

from homebridge_svc.adapters.voice.mqtt_set import SetTopics
from homebridge_svc.core.events import CommandHeard, Event, NonsenseHeard
from homebridge_svc.core.model import Now
from homebridge_svc.ports import Handler, Message, Surroundings


class Clock:
    def now(self) -> Now:
        return Now(datetime(2026, 11, 20, tzinfo=UTC), 0.0)

    def policy(self, unix: float) -> float:
        return unix


class Link:
    """Keeps the handlers, so that a test can hand them messages."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def subscribe(self, topic_filter: str, handler: Handler, *, qos: int = 0) -> None:  # noqa: ARG002  Link's shape
        self.handlers[topic_filter] = handler


def heard(topic: str, payload: bytes) -> list[Event]:
    """What a message on `<base>/+/set` becomes."""
    events: list[Event] = []

    def post(event: Event) -> bool:
        events.append(event)
        return True

    link = Link()
    SetTopics("home", link, Surroundings(post, Clock(), lambda: "minted", Path()))  # type: ignore[arg-type]
    link.handlers["home/+/set"](Message(topic, payload, False, 1, 7, False, 0.0))
    return events


def test_a_device_is_named_by_its_topic() -> None:
    (event,) = heard("home/tv/set", b"power on")
    assert isinstance(event, CommandHeard)
    assert (event.device, event.text, event.id) == ("tv", "power on", "minted")


def test_a_topic_of_sixty_thousand_characters_is_nonsense_and_its_name_is_not_kept() -> None:
    """Otherwise a publisher could fill the memory, and the card, with names."""
    topic = f"home/{'x' * 60_000}/set"
    assert heard(topic, b"power on") == []
    (event,) = heard(topic, b'{"do": "power on", "id": "a"}')
    assert isinstance(event, NonsenseHeard)
    assert event.id == "a"
    assert len(event.device or "") <= 200
