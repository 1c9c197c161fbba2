"""Drives headless Chromium through chromedriver by the W3C WebDriver protocol, which is JSON over HTTP."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's own key for an element reference
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


def missing() -> str:
    """Why no browser can be driven here; empty when one can."""
    absent = [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


class Browser:
    """One tab."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self.http = http
        self._base = base

    async def call(self, method: str, path: str, **body: object) -> object:
        """One WebDriver command below the session; returns its value."""
        async with self.http.request(method, self._base + path, json=body if method == "POST" else None) as response:
            value = (await response.json())["value"]
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(f"{path}: {value['error']}: {value['message'][:300]}")
        return value

    async def open(self, url: str) -> None:
        await self.call("POST", "/url", url=url)

    async def resize(self, width: int, height: int, *, dark: bool = False, scale: float = 2) -> None:
        """Show the page as on a screen of this size, in light or dark."""
        await self._cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self._cdp("Emulation.setEmulatedMedia", features=[scheme])

    async def from_elsewhere(self) -> None:
        """Let every request look as if a proxy had forwarded it: on this machine everybody is on loopback."""
        await self._cdp("Network.enable")
        await self._cdp("Network.setExtraHTTPHeaders", headers={"X-Forwarded-For": "203.0.113.9"})

    async def script(self, code: str, *args: object) -> object:
        return await self.call("POST", "/execute/sync", script=code, args=list(args))

    async def text(self, css: str) -> str:
        """What people read in the first element that fits."""
        return str(await self.script("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    async def click(self, css: str) -> None:
        """A real click: it fails when something lies on top."""
        found = await self.call("POST", "/element", using="css selector", value=css)
        assert isinstance(found, dict)
        await self.call("POST", f"/element/{found[ELEMENT]}/click", id=found[ELEMENT])

    async def wait_text(self, css: str, part: str, within: float = 10.0) -> None:
        """Wait until the element reads so."""
        text = ""
        try:
            async with asyncio.timeout(within):
                while part not in (text := await self.text(css)):  # noqa: ASYNC110  what changes is behind a socket
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{css} never said {part!r}, but {text!r}") from None

    async def complaints(self) -> list[str]:
        """Warnings and errors of the console since the last call."""
        entries = await self.call("POST", "/se/log", type="browser")
        assert isinstance(entries, list)
        return [entry["message"] for entry in entries if entry["level"] in {"SEVERE", "WARNING"}]

    async def picture(self, name: str, *, whole: bool = False) -> None:
        """Write a PNG into the folder that HOMEBRIDGE_SCREENSHOTS names, if it does; whole: beyond the screen too."""
        if folder := os.environ.get("HOMEBRIDGE_SCREENSHOTS"):
            taken = await self._cdp("Page.captureScreenshot", captureBeyondViewport=whole)
            assert isinstance(taken, dict)
            await asyncio.to_thread((Path(folder) / f"{name}.png").write_bytes, base64.b64decode(taken["data"]))

    async def _cdp(self, command: str, **params: object) -> object:
        return await self.call("POST", "/goog/cdp/execute", cmd=command, params=params)


@asynccontextmanager
async def browser(profile: Path, language: str = "en-GB") -> AsyncIterator[Browser]:
    """A new Chromium with an empty profile, closed at the end with its driver."""
    driver = await asyncio.create_subprocess_exec(
        "chromedriver",
        "--port=0",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _port(driver)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as http:
            options = {
                "args": [*FLAGS, f"--user-data-dir={profile}", f"--lang={language}", f"--accept-lang={language}"],
                "prefs": {"intl.accept_languages": language},
            }
            wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
            async with http.post(f"http://127.0.0.1:{port}/session", json={"capabilities": wanted}) as response:
                value = (await response.json())["value"]
            assert "sessionId" in value, value
            base = f"http://127.0.0.1:{port}/session/{value['sessionId']}"
            try:
                yield Browser(http, base)
            finally:
                async with http.delete(base):
                    pass
    finally:
        os.killpg(driver.pid, signal.SIGTERM)  # the driver and whatever Chromium left
        await driver.wait()


async def _port(driver: asyncio.subprocess.Process) -> int:
    assert driver.stdout is not None
    async with asyncio.timeout(30):
        async for line in driver.stdout:
            if b"started successfully on port" in line:
                return int(line.rstrip(b".\n").split()[-1])
    raise AssertionError("chromedriver did not start")
