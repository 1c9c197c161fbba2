"""Phrases over HTTP: `POST /hook/<name>` with the hook's own token, for phones' shortcuts and small bridges.

    curl -H "Authorization: Bearer $TOKEN" -d 看电影 http://pi:8377/hook/phone

The body is a phrase, or JSON with `phrase`, `id` and `at`. The web server carries it here and decides nothing.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field

from homebridge_svc.config.secrets import Secret
from homebridge_svc.core.events import CommandHeard, Delivery
from homebridge_svc.errors import ConfigError, Refused, Unreachable
from homebridge_svc.ports import Surroundings
from homebridge_svc.runtime.registry import adapter
from homebridge_svc.wire.payloads import read


class Options(BaseModel, extra="forbid"):
    """`[[voice]] driver = "webhook"`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", description="the last part of the address")]
    token: Annotated[Secret, Field(description="what callers send as bearer token")]


@adapter(
    "webhook",
    kind="voice",
    options=Options,
    title="HTTP shortcuts",
    tried="against curl and aiohttp's client",
    peer="hand",
)
class Webhook:
    """One hook; mounted on the web server through the Hooks port."""

    def __init__(self, key: str, options: Options, surroundings: Surroundings) -> None:
        if surroundings.hooks is None:
            raise ConfigError(key, "needs the web server", "add [web]")
        self._options = options
        self._home = surroundings
        surroundings.hooks.mount(options.name, self._called)

    async def run(self) -> None:
        """Nothing to keep up: the web server calls, until cancelled."""
        await asyncio.Event().wait()

    def _called(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Take one call and return the command's id. Raises Refused, WireError, or Unreachable when overrun."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        wanted = self._options.token.get_secret_value()
        if scheme.lower() != "bearer" or not hmac.compare_digest(_bytes(token.strip()), _bytes(wanted)):
            raise Refused("the hook's token is missing or wrong")
        payload = read(body, field="phrase")
        origin = f"hook:{self._options.name}"
        sent_at = None if payload.at is None else self._home.clock.policy(payload.at)
        command = CommandHeard(
            id=payload.id or self._home.new_id(),
            at=self._home.clock.now(),
            origin=origin,
            text=payload.text,
            delivery=Delivery(caller=origin, sent_at=sent_at, has_id=payload.id is not None),
        )
        if not self._home.post(command):
            raise Unreachable("too many commands at once")
        return command.id


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")  # header bytes that are no UTF-8 arrive as surrogates
