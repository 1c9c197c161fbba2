"""The page in headless Chromium, on a phone and on a desktop, in both languages.

HOMEBRIDGE_SCREENSHOTS=folder keeps pictures of what was seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.browser import Browser, browser, missing
from support.web import TOKEN, LittleDesk, serving

pytestmark = [pytest.mark.peer, pytest.mark.skipif(bool(missing()), reason=missing() or "present")]

PHONE, DESKTOP = (390, 844), (1280, 800)
PROJECTOR, PUMP = "#device-living_room", "#device-bathroom"
SMALL_TARGETS = """
return [...document.querySelectorAll('button, summary, input:not([type=hidden])')]
  .filter(el => el.offsetWidth && (el.offsetWidth < 44 || el.offsetHeight < 44)).map(el => el.outerHTML)
"""
UNNAMED = """
return [...document.querySelectorAll('button, input')]
  .filter(el => !(el.textContent || el.ariaLabel || el.placeholder || el.labels?.length)).map(el => el.outerHTML)
"""
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def desk() -> LittleDesk:
    return LittleDesk(boot=1.0)


@pytest.fixture
async def url(desk: LittleDesk) -> AsyncIterator[str]:
    async with serving(desk) as (_, address):
        yield address


@pytest.mark.parametrize(("name", "size"), [("phone", PHONE), ("desktop", DESKTOP)])
async def test_a_click_on_the_projector_and_what_becomes_of_it(
    url: str, desk: LittleDesk, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    async with browser(tmp_path) as tab:
        await tab.resize(*size)
        await tab.open(f"{url}/")
        await tab.wait_text(f"{PROJECTOR} .status", "Off")
        await tab.click(f"{PROJECTOR} .power")
        await tab.wait_text(f"{PROJECTOR} .status", "Starting … · 0:4")
        await tab.wait_text("#toasts", "On its way")
        await tab.wait_text(f"{PROJECTOR} .status", "On")
        await tab.wait_text("#toasts", "adb says the screen is on")
        await tab.wait_text(".chain.good", "turn on")
        assert [heard.text for heard in desk.asked] == ["power on"]
        await tab.click(".chain button")
        await tab.wait_text(".chain .steps", "first of udp, plug_cycle")
        await tab.click(f"{PUMP} .ring")
        await tab.wait_text(f"{PUMP} .ring", "4:5")
        await tab.picture(f"{name}-en", whole=size == PHONE)
        assert await tab.script(SMALL_TARGETS) == []
        assert await tab.script(UNNAMED) == []
        assert await tab.script(OVERFLOW) == 0
        assert await tab.complaints() == []


@pytest.mark.parametrize(("name", "size"), [("phone", PHONE), ("desktop", DESKTOP)])
async def test_the_page_speaks_chinese(
    url: str, desk: LittleDesk, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    async with browser(tmp_path, "zh-CN") as tab:
        await tab.resize(*size, dark=True)
        await tab.open(f"{url}/")
        await tab.wait_text(f"{PROJECTOR} .status", "已关")
        await tab.click(f"{PUMP} .choices button")
        await tab.wait_text(f"{PUMP} .status", "热水正在来")
        await tab.wait_text("#toasts", "热水来了")
        await tab.click(f"{PROJECTOR} .power")
        await tab.wait_text(f"{PROJECTOR} .status", "已开")
        await tab.wait_text(f"{PROJECTOR} .why", "已就绪")
        await tab.picture(f"{name}-zh", whole=size == PHONE)
        assert [heard.text for heard in desk.asked] == ["run 3m", "power on"]
        await tab.click("#language")
        await tab.wait_text(f"{PUMP} .status", "Hot water is coming")
        assert await tab.script("return document.documentElement.lang") == "en"
        await tab.open(f"{url}/")
        await tab.wait_text("#language", "中文")  # the choice outlives the page
        assert await tab.complaints() == []


async def test_every_state_has_its_face(url: str, desk: LittleDesk, tmp_path: Path) -> None:
    async with browser(tmp_path) as tab:
        await tab.resize(*PHONE)
        await tab.open(f"{url}/")
        await tab.wait_text(f"{PROJECTOR} h3", "客厅投影")
        for phase, face in (
            ("waking", "Waking"),
            ("cooling", "Cooling"),
            ("cut", "mains cut"),
            ("light_off", "Music"),
            ("new_one", "new_one"),
        ):
            desk.change("living_room", phase=phase, power=phase)
            await tab.wait_text(f"{PROJECTOR} .status", face)
        desk.change("living_room", phase="unknown", power="unknown", available=False)
        await tab.wait_text(f"{PROJECTOR} .status", "not reachable")
        await tab.click(f"{PROJECTOR} .unsure button:last-child")  # unknown offers both ways
        await tab.wait_text(f"{PROJECTOR} .status", "Cooling")
        desk.change("bathroom", phase="locked_out", locked="the pump draws no power: broken or dry")
        await tab.wait_text(f"{PUMP} .locked", "broken or dry")
        await tab.click(f"{PUMP} .locked button")
        await tab.wait_text("#toasts", "Refused")
        assert [heard.text for heard in desk.asked] == ["power off", "reset"]
        desk.change("living_room", phase=None, channels=None, watts=None, inputs=None, apps=None, volume=None)
        desk.change("bathroom", phase=None, locked=None, temperature=None, last_run_s=None, run_seconds_today=None)
        desk.change("return_temperature", available=False, value=None, unit=None)
        await tab.wait_text("#device-return_temperature", "not reachable")
        assert await tab.complaints() == []


async def test_nothing_from_outside_becomes_markup(url: str, desk: LittleDesk, tmp_path: Path) -> None:
    evil = "<img src=x onerror=\"document.title='pwned'\">"
    desk.write("e1", "heard", evil, f"'{evil}' from {evil}")
    desk.write("e1", "answered", evil, f"refused: {evil}", say="refused", zh=evil)
    desk.change(
        "living_room",
        phase="on",
        why=evil,
        input=evil,
        inputs=[evil],
        apps=[evil],
        waiting=[evil],
        channels={evil: "up"},
    )
    desk.change("bathroom", phase=evil, locked=evil, last_stop=evil, why=evil)
    async with browser(tmp_path) as tab:
        await tab.open(f"{url}/")
        await tab.wait_text(".chain", "Refused")
        await tab.click(".chain button")
        await tab.wait_text(".steps", "answered")
        assert await tab.script("return document.querySelectorAll('img').length") == 0
        assert await tab.script("return document.title") == "Home"
        assert await tab.complaints() == []


async def test_a_sentence_is_said_and_its_refusal_read(url: str, desk: LittleDesk, tmp_path: Path) -> None:
    async with browser(tmp_path) as tab:
        await tab.open(f"{url}/")
        await tab.wait_text(f"{PROJECTOR} h3", "客厅投影")
        await tab.script("document.getElementById('phrase').value = '看电影'")
        await tab.click("#speak")
        await tab.wait_text("#toasts", "nobody taught me")
        assert [(heard.device, heard.text) for heard in desk.asked] == [(None, "看电影")]


async def test_a_lost_line_is_told_and_mended(desk: LittleDesk, tmp_path: Path) -> None:
    async with browser(tmp_path) as tab:
        async with serving(desk) as (server, url):
            port = server.port
            await tab.open(f"{url}/")
            await tab.wait_text("#line", "live")
        await tab.wait_text("#lost", "connection is lost")
        await tab.click(f"{PROJECTOR} .power")
        await tab.wait_text("#toasts", "Not heard")
        desk.change("living_room", phase="on")
        async with serving(desk, port=port):
            await tab.wait_text("#line", "live", within=20)
            await tab.wait_text(f"{PROJECTOR} .status", "On")
            assert await tab.script("return document.getElementById('lost').hidden") is True


async def test_a_phone_logs_in_by_its_one_time_link(url: str, tmp_path: Path) -> None:
    async with browser(tmp_path) as tab:
        await tab.from_elsewhere()
        await tab.resize(*PHONE)
        await tab.open(f"{url}/")
        await tab.wait_text("h1", "Come in")
        await tab.picture("login")
        await tab.open(f"{url}/login?code={await one_time_code(tab, url)}")
        await tab.picture("login-code")
        await tab.click("button")
        await tab.wait_text(f"{PROJECTOR} h3", "客厅投影")
        assert await tab.complaints() == []


async def one_time_code(tab: Browser, url: str) -> str:
    """Ask for a code as `homebridge-svc link` does."""
    async with tab.http.post(f"{url}/api/link", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
        return str((await response.json())["code"])
