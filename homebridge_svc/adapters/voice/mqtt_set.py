"""Commands on `<base>/<device>/set`: Home Assistant's entities, automations, Node-RED, mosquitto_pub.

Always on, so there is nothing to configure; `<base>/say` takes a phrase in the same forms.
"""

from __future__ import annotations

from homebridge_svc.ports import Link, Message, Surroundings
from homebridge_svc.runtime.hearing import Hearing


class SetTopics:
    """The ear on our own command topics."""

    def __init__(self, base_topic: str, link: Link, surroundings: Surroundings) -> None:
        self._base = base_topic
        self._hearing = Hearing(__name__, surroundings)
        # QoS 1: a command that was sent while we were briefly away still comes
        link.subscribe(f"{base_topic}/+/set", self._command, qos=1)
        link.subscribe(f"{base_topic}/say", self._phrase, qos=1)

    def _command(self, message: Message) -> None:
        device = message.topic[len(self._base) + 1 :].removesuffix("/set")
        self._hearing.hear(message, field="do", origin=None, device=device)

    def _phrase(self, message: Message) -> None:
        self._hearing.hear(message, field="say", origin=f"scene:{message.topic}")
