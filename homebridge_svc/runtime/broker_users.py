"""Users of the embedded broker. amqtt loads this plugin by its dotted name; nobody else imports this module."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session


class UsersPlugin(BaseAuthPlugin):  # type: ignore[misc]  # amqtt is optional: mypy may not see it
    """Lets in who gives a name and password of `users`."""

    async def authenticate(self, *, session: Session) -> bool:
        """Compare in constant time."""
        expected = self.config.users.get(session.username)
        given = (session.password or "").encode()
        return hmac.compare_digest(given, (expected or "").encode()) and expected is not None

    @dataclass
    class Config:
        """users: name -> password."""

        users: dict[str, str] = field(default_factory=dict, repr=False)
