"""Server-sent events over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from support.web import LittleDesk, serving, until

from homebridge_svc.web import live


class Page:
    """An open page."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def message(self) -> dict[str, Any]:
        """The next message, comments skipped."""
        async with asyncio.timeout(5):
            while True:
                line = await self._response.content.readline()
                assert line, "the stream has ended"
                if line.startswith(b"data: "):
                    message: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
                    return message


@asynccontextmanager
async def opened(http: aiohttp.ClientSession) -> AsyncIterator[Page]:
    async with http.get("/api/events") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        yield Page(response)


@pytest.fixture
def desk() -> LittleDesk:
    return LittleDesk()


@pytest.fixture
async def http(desk: LittleDesk) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        serving(desk) as (_, url),
        aiohttp.ClientSession(url, connector=connector, read_bufsize=2**20) as session,
    ):
        yield session


async def test_a_page_begins_with_everything_and_goes_on_with_what_is_new(
    http: aiohttp.ClientSession, desk: LittleDesk
) -> None:
    desk.write("a", "heard", "lamp", "'on' from web")
    async with opened(http) as page:
        first = await page.message()
        assert first["first"] is True
        assert [row["text"] for row in first["rows"]] == ["'on' from web"]
        assert first["devices"]["lamp"]["state"]["on"] is True
        desk.write("a", "answered", "lamp", "done: it is on", say="done", zh="好了")
        desk.change("lamp", on=False)
        second = await page.message()
        assert second["first"] is False
        assert [row["data"]["zh"] for row in second["rows"]] == ["好了"]
        assert second["devices"]["lamp"]["state"]["on"] is False


async def test_every_row_reaches_every_page_once(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    async with opened(http) as early:
        await early.message()
        desk.write(None, "changed", "lamp", "one")
        async with opened(http) as late:
            assert [row["text"] for row in (await early.message())["rows"]] == ["one"]
            assert [row["text"] for row in (await late.message())["rows"]] == ["one"]
            desk.write(None, "changed", "lamp", "two")
            desk.write(None, "changed", "lamp", "three")
            desk.change("lamp")
            for page in (early, late):
                assert [row["text"] for row in (await page.message())["rows"]] == ["three", "two"]


async def test_a_storm_of_changes_is_a_few_messages(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    async with opened(http) as page:
        await page.message()
        began = asyncio.get_running_loop().time()
        for watts in range(500):
            desk.change("lamp", watts=float(watts))
            await asyncio.sleep(0.001)
        messages = 1
        while (await page.message())["devices"]["lamp"]["state"]["watts"] != 499.0:
            messages += 1
        assert messages <= 2 + (asyncio.get_running_loop().time() - began) / live.PACE


async def test_the_page_that_is_one_too_many_is_told_so(http: aiohttp.ClientSession) -> None:
    streams = [await http.get("/api/events") for _ in range(live.PAGES)]
    async with http.get("/api/events") as response:
        assert response.status == 503
    streams.pop().close()

    async def there_is_room() -> bool:
        async with http.get("/api/events") as response:
            return response.status == 200

    await until(there_is_room)
    for stream in streams:
        stream.close()


async def test_a_page_that_does_not_read_is_dropped_and_disturbs_nobody(desk: LittleDesk) -> None:
    desk.change("lamp", filler="x" * 1_000_000)
    async with serving(desk) as (server, url), aiohttp.ClientSession(url, read_bufsize=2**23) as http:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stuck = server._live._pages

        async def is_open() -> bool:
            return len(stuck) == 1

        await until(is_open)
        async with opened(http) as page:
            for number in range(live.BEHIND + 12):
                desk.change("lamp", on=bool(number % 2))
                await page.message()
            assert len(stuck) == 1
        writer.close()


async def test_closing_the_server_ends_the_streams(desk: LittleDesk) -> None:
    async with aiohttp.ClientSession() as http:
        async with serving(desk) as (_, url):
            response = await http.get(f"{url}/api/events")
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 1.5
        await response.content.read()
        assert response.content.at_eof()
