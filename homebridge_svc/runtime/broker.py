"""An MQTT broker inside the daemon, for the demo and for homes that have none: amqtt, imported only when used.

It speaks MQTT 3.1.1 only and keeps nothing for an absent client, so a command sent while we are away is lost, not late.
A v5 CONNECT with a last will makes it wait for more bytes for ever: links to it must begin with 3.1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from homebridge_svc.errors import ConfigError

if TYPE_CHECKING:
    from amqtt.broker import Broker

STOP_S = 5.0  # real seconds
_USERS = "homebridge_svc.runtime.broker_users.UsersPlugin"
_ANYBODY = "amqtt.plugins.authentication.AnonymousAuthPlugin"


class EmbeddedBroker:
    """`async with EmbeddedBroker(host, port)`; users: name -> password, without them loopback only.

    Raises ConfigError when amqtt is missing, the address is open to the network without users, or taken.
    """

    def __init__(self, host: str, port: int, users: Mapping[str, str] | None = None) -> None:
        self._host = host
        self._port = port
        self._users = dict(users or {})
        self._broker: Broker | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        if not self._users and not _is_loopback(self._host):
            raise ConfigError("mqtt.url", f"a broker at {self._host} without users", "set users, or use 127.0.0.1")
        try:
            from amqtt.broker import Broker  # noqa: PLC0415  optional, and heavy
            from amqtt.errors import BrokerError  # noqa: PLC0415
        except ImportError as exc:
            raise ConfigError(
                "mqtt.url", "the embedded broker is not installed", "pip install 'homebridge-svc[demo]'"
            ) from exc
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # it logs each client's hang-up as an error
        plugins = {_USERS: {"users": self._users}} if self._users else {_ANYBODY: {"allow_anonymous": True}}
        listener = {"type": "tcp", "bind": f"{self._host}:{self._port}"}
        self._broker = Broker({"listeners": {"default": listener}, "plugins": plugins})
        self._broker._subscriptions = _Steady()  # noqa: SLF001  see there
        try:
            await self._broker.start()
        except BrokerError as exc:
            raise ConfigError("mqtt.url", f"the embedded broker cannot listen: {exc}", "is the port taken?") from exc
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the listener and all connections."""
        if self._broker is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._broker.shutdown()


class _Steady(dict[str, Any]):
    """amqtt walks over its subscriptions while awaiting, so clients that connect at once break each other's start."""

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self.keys()))

    def items(self) -> Any:  # noqa: ANN401  the type of dict.items cannot be spelled for a snapshot
        """Give a snapshot."""
        return tuple(super().items())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
