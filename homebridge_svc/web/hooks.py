"""`POST /hook/<name>`: where voice services knock. Each hook knows its own secret; this table only finds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from homebridge_svc.errors import ConfigError

Hook = Callable[[bytes, Mapping[str, str]], str]
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class HookTable:
    """Implements ports.Hooks."""

    def __init__(self) -> None:
        self._hooks: dict[str, Hook] = {}

    def mount(self, name: str, hook: Hook) -> None:
        """Serve `hook` as POST /hook/<name>. Raises ConfigError when the name is taken or not a name."""
        if not NAME.fullmatch(name):
            raise ConfigError(f"hook {name!r}", "is not a name", "lower-case letters, digits, _ and -")
        if name in self._hooks:
            raise ConfigError(f"hook {name!r}", "is used twice", "give each webhook a name of its own")
        self._hooks[name] = hook

    def find(self, name: str) -> Hook | None:
        """The hook of that name."""
        return self._hooks.get(name)
