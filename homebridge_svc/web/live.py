"""Server-sent events: every open page sees every change, at most five times a second.

Theory of operation. `Live.run` follows the desk's changes and builds one message for all pages: every device as it
stands and the journal rows that are new. A page that connects gets a first message with the newest rows; because the
others are brought up to date in the same step, "new" means the same for everybody. Each page has a short queue. One
that does not read fast enough to keep it from filling is dropped; its browser reconnects and starts afresh. While
nobody looks, nothing is built.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from homebridge_svc.core.model import Json
from homebridge_svc.ports import Desk, Row
from homebridge_svc.web.bodies import row_json

log = logging.getLogger(__name__)

PAGES = 32  # open streams; a household has fewer screens
ROWS = 120  # journal rows in the first message
PACE = 0.2  # real seconds between two messages
HEARTBEAT = 15.0  # real seconds of silence after which a comment keeps proxies and phones awake
BEHIND = 16  # messages a page may be behind
STUCK = 10.0  # real seconds that one write may take

Page = asyncio.Queue[bytes | None]  # None: good-bye


class Live:
    """The streams of all open pages. `state` gives the devices part of a message."""

    def __init__(self, desk: Desk, state: Callable[[], dict[str, Json]]) -> None:
        self._desk = desk
        self._state = state
        self._pages: set[Page] = set()
        self._newest: Row | None = None

    async def run(self) -> None:
        """Follow the desk until cancelled."""
        async for _ in self._desk.changes():
            if self._pages:
                self._tell_all()
            await asyncio.sleep(PACE)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """`GET /api/events`: stream until the page goes, falls behind, or the server closes."""
        if len(self._pages) >= PAGES:
            return web.json_response({"error": "too many open pages", "hint": "close one"}, status=503)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        page: Page = asyncio.Queue(BEHIND)
        self._tell_all()
        page.put_nowait(self._message(self._desk.chronicle.recent(ROWS), first=True))
        self._pages.add(page)
        try:
            while message := await _next(page):
                async with asyncio.timeout(STUCK):
                    await response.write(message)
        except (TimeoutError, ConnectionError):
            log.debug("web: a page at %s does not read any more", request.remote)
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._pages.discard(page)
        return response

    def close(self) -> None:
        """End all streams."""
        for page in list(self._pages):
            self._drop(page)

    def _tell_all(self) -> None:
        rows = self._desk.chronicle.recent(ROWS)
        known = rows.index(self._newest) if self._newest in rows else len(rows)
        self._newest = rows[0] if rows else None
        if not self._pages:
            return
        message = self._message(rows[:known])
        for page in list(self._pages):
            try:
                page.put_nowait(message)
            except asyncio.QueueFull:
                self._drop(page)

    def _drop(self, page: Page) -> None:
        """Let the stream end: what it has not read is thrown away."""
        self._pages.discard(page)
        with suppress(asyncio.QueueEmpty):
            while True:
                page.get_nowait()
        page.put_nowait(None)

    def _message(self, rows: list[Row], *, first: bool = False) -> bytes:
        data = {**self._state(), "first": first, "rows": [row_json(row) for row in rows]}
        return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


async def _next(page: Page) -> bytes | None:
    try:
        async with asyncio.timeout(HEARTBEAT):
            return await page.get()
    except TimeoutError:
        return b": still here\n\n"
