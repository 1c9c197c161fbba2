"""Whether an endpoint is there: told once per change, to core and in the log, not once per try."""

from __future__ import annotations

import logging

from homebridge_svc.core.events import EndpointChanged
from homebridge_svc.ports import Surroundings


class Presence:
    """Of one endpoint. up: what was told last; None: nothing yet."""

    def __init__(self, endpoint: str, surroundings: Surroundings, logger: logging.Logger) -> None:
        self._endpoint = endpoint
        self._home = surroundings
        self._logger = logger
        self.up: bool | None = None

    def become(self, up: bool, why: str) -> None:
        """Tell, if it is a change; why is for people."""
        if up == self.up:
            return
        self.up = up
        self._logger.info("%s: %s (%s)", self._endpoint, "reachable" if up else "not reachable", why)
        self._home.post(EndpointChanged(self._home.new_id(), self._home.clock.now(), self._endpoint, up, why))
