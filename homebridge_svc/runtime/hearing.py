"""From an MQTT message to what was heard: shared by every ear that takes commands or phrases over MQTT."""

from __future__ import annotations

import hashlib
import logging

from homebridge_svc.core.events import CommandHeard, Delivery, NonsenseHeard
from homebridge_svc.ports import Message, Surroundings
from homebridge_svc.runtime.logs import OncePerKind
from homebridge_svc.wire.payloads import BadPayload, Payload, read

LONGEST_TOPIC = 200  # characters: MQTT allows 65 535, and each would stand in the journal many times over


class Hearing:
    """Turns payloads of one ear into events: a command, or nonsense that is counted, and answered where it has an id.

    name: the ear's module, which says so in the log.
    """

    def __init__(self, name: str, surroundings: Surroundings) -> None:
        self._home = surroundings
        self._nonsense = OncePerKind(logging.getLogger(name))

    def hear(self, message: Message, *, field: str, origin: str | None, device: str | None = None) -> None:
        """Post what one message means; origin None: the payload's own `by`, else "mqtt"."""
        now = self._home.clock.now()
        try:
            payload = _read(message, field)
        except BadPayload as why:
            self._nonsense(str(why), "%s: means nothing: %s", message.topic[:LONGEST_TOPIC], why)
            if why.id is not None:
                source, whom = (origin or "mqtt")[:LONGEST_TOPIC], device and device[:LONGEST_TOPIC]
                self._home.post(NonsenseHeard(why.id, now, source, whom, str(why), has_id=True))
            return
        origin = origin or payload.by or "mqtt"
        self._home.post(
            CommandHeard(
                id=payload.id or self._home.new_id(),
                at=now,
                origin=origin,
                text=payload.text,
                device=device,
                delivery=Delivery(
                    retained=message.retained,
                    dup_flag=message.dup_flag,
                    packet=(message.topic, message.packet_id, _digest(message.payload)) if message.qos else None,
                    age_bound=message.age_bound,
                    caller=origin,
                    sent_at=None if payload.at is None else self._home.clock.policy(payload.at),
                    has_id=payload.id is not None,
                ),
            )
        )


def _read(message: Message, field: str) -> Payload:
    payload = read(message.payload, field=field)
    if len(message.topic) > LONGEST_TOPIC:
        raise BadPayload("its topic is too long", payload.id)
    return payload


def _digest(payload: bytes) -> str:
    return hashlib.blake2s(payload, digest_size=8).hexdigest()
