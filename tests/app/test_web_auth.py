"""Who may speak to the daemon over HTTP. `X-Forwarded-For` makes a request on loopback one from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from pydantic import SecretStr
from support.web import TOKEN, LittleDesk, serving

from homebridge_svc.web.auth import CODE_LIVES, CODES_KEPT, COOKIE, COOKIE_LIVES, TRIES, TRIES_WINDOW, Gate, is_loopback

AWAY = {"X-Forwarded-For": "203.0.113.9"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WRONG = {"Authorization": "Bearer open sesame"}
GUARDED = ["/", "/api/state", "/api/explain", "/api/journal", "/api/events", "/metrics", "/nothing"]


@pytest.fixture
def desk() -> LittleDesk:
    return LittleDesk()


@pytest.fixture
async def http(desk: LittleDesk) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving(desk, names=["pi.local"]) as (_, url),
        aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        yield session


async def status(http: aiohttp.ClientSession, path: str, headers: dict[str, str], method: str = "GET") -> int:
    async with http.request(method, path, headers=headers, allow_redirects=False) as response:
        return response.status


@pytest.mark.parametrize("path", GUARDED)
async def test_a_stranger_sees_nothing(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path, headers=AWAY, allow_redirects=False) as response:
        body = await response.text()
        if path == "/":
            assert (response.status, response.headers["Location"]) == (303, "/login")
        else:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "living_room" not in body


@pytest.mark.parametrize("path", ["/healthz", "/login", "/static/app.js", "/static/style.css"])
async def test_what_is_open_to_all(http: aiohttp.ClientSession, path: str) -> None:
    assert await status(http, path, AWAY) == 200


@pytest.mark.parametrize("path", ["/", "/api/state", "/metrics"])
async def test_loopback_needs_no_token(http: aiohttp.ClientSession, path: str) -> None:
    assert await status(http, path, {}) == 200


@pytest.mark.parametrize("proxy", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
async def test_a_proxy_on_this_machine_is_not_a_person_on_it(http: aiohttp.ClientSession, proxy: str) -> None:
    assert await status(http, "/api/state", {proxy: "127.0.0.1"}) == 401


async def test_programs_show_the_token(http: aiohttp.ClientSession) -> None:
    assert await status(http, "/api/state", AWAY | BEARER) == 200
    assert await status(http, "/api/state", AWAY | {"Authorization": f"bearer  {TOKEN} "}) == 200
    assert await status(http, "/api/state", AWAY | WRONG) == 401
    assert await status(http, "/api/state", AWAY | {"Authorization": f"Basic {TOKEN}"}) == 401
    assert await status(http, "/api/state", AWAY | {"Authorization": "Bearer"}) == 401


async def test_without_a_token_nobody_from_elsewhere_comes_in(desk: LittleDesk) -> None:
    async with serving(desk, token=None) as (_, url), aiohttp.ClientSession(url) as http:
        assert await status(http, "/api/state", {}) == 200
        assert await status(http, "/api/state", AWAY | {"Authorization": "Bearer "}) == 401
        assert await status(http, "/api/link", {}, "POST") == 409
        async with http.post("/login", data={"token": "", "code": ""}) as response:
            assert response.status == 401


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST:8377", "[::1]:8377", "pi.local", "pi.local.:80", "192.168.1.9:8377"]
)
async def test_hosts_that_name_this_machine(http: aiohttp.ClientSession, host: str) -> None:
    assert await status(http, "/api/state", {"Host": host}) == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "pi", "[", ""])
async def test_a_name_that_was_rebound_to_us_is_refused_even_with_the_token(
    http: aiohttp.ClientSession, host: str
) -> None:
    for path in ("/", "/api/state", "/login", "/static/app.js"):
        assert await status(http, path, BEARER | {"Host": host}) == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
async def test_another_site_changes_nothing(
    http: aiohttp.ClientSession, desk: LittleDesk, headers: dict[str, str]
) -> None:
    for path in ("/api/command", "/api/link", "/login", "/hook/phone"):
        async with http.post(path, data='{"do": "bathroom.run"}', headers=headers) as response:
            assert response.status == 403
    assert desk.asked == []


async def test_our_own_page_and_programs_may(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    origin = f"http://{http._base_url.authority}" if http._base_url else ""
    for headers in ({}, {"Origin": origin}, {"Sec-Fetch-Site": "same-origin", "Origin": origin}):
        async with http.post("/api/command", data='{"do": "bathroom.stop"}', headers=headers) as response:
            assert response.status == 200
    assert len(desk.asked) == 3


@pytest.mark.parametrize("path", ["/api/command", "/api/link", "/hook/phone"])
async def test_nothing_changes_by_get(http: aiohttp.ClientSession, desk: LittleDesk, path: str) -> None:
    assert await status(http, path + '?do=bathroom.run&body={"do":"bathroom.run"}', {}) == 405
    assert desk.asked == []


async def test_the_token_logs_a_browser_in_with_a_strict_cookie(http: aiohttp.ClientSession) -> None:
    async with http.post("/login", data={"token": TOKEN}, headers=AWAY, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/")
        cookie = response.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert TOKEN not in cookie.value
    assert await status(http, "/api/state", AWAY) == 200
    assert await status(http, "/", AWAY) == 200
    assert await status(http, "/login", AWAY) == 303  # nothing to do here any more


async def test_a_one_time_code_opens_once_and_is_not_spent_by_looking(http: aiohttp.ClientSession) -> None:
    async with http.post("/api/link", headers=AWAY | BEARER) as response:
        code = (await response.json())["code"]
    assert len(code) >= 22  # 128 bits
    for _ in range(3):
        async with http.get("/login", params={"code": code}, headers=AWAY) as response:
            assert f'value="{code}"' in await response.text()
            assert COOKIE not in response.cookies
    async with http.post("/login", data={"code": code, "token": ""}, headers=AWAY, allow_redirects=False) as response:
        assert response.status == 303
    async with http.post("/login", data={"code": code}, headers=AWAY, allow_redirects=False) as response:
        assert response.status == 401


async def test_two_that_race_for_one_code(http: aiohttp.ClientSession) -> None:
    async with http.post("/api/link") as response:
        code = (await response.json())["code"]

    async def try_it() -> int:
        async with http.post("/login", data={"code": code}, headers=AWAY, allow_redirects=False) as response:
            return response.status

    assert sorted(await asyncio.gather(*(try_it() for _ in range(4)))) == [303, 401, 401, 401]


async def test_a_code_is_worth_nothing_after_ten_minutes(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    async with http.post("/api/link") as response:
        made = await response.json()
    assert made["expires_in"] == CODE_LIVES == 600
    desk.clock.forward(600)
    async with http.post("/login", data={"code": made["code"]}, headers=AWAY, allow_redirects=False) as response:
        assert response.status == 401


async def test_who_may_make_codes(http: aiohttp.ClientSession) -> None:
    assert await status(http, "/api/link", AWAY, "POST") == 401
    assert await status(http, "/api/link", AWAY | BEARER, "POST") == 200
    assert await status(http, "/api/link", {}, "POST") == 200
    async with http.post("/login", data={"token": TOKEN}, headers=AWAY):
        pass
    assert await status(http, "/api/link", AWAY, "POST") == 403  # a lost phone invites no others


async def test_what_is_typed_into_the_form_stays_text(http: aiohttp.ClientSession) -> None:
    async with http.get("/login", params={"code": '"><script>alert(1)</script>'}) as response:
        text = await response.text()
    assert "<script" not in text
    assert "&quot;&gt;&lt;script&gt;" in text


@pytest.mark.parametrize("body", [b"\xff\xfe", b"token=%FF%FE", b"&" * 9000, b"token", b"a=1&" * 3000, b"x" * 20_000])
async def test_broken_forms_do_not_come_in(http: aiohttp.ClientSession, body: bytes) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"):
        async with http.post("/login", data=body, headers=AWAY | {"Content-Type": kind}) as response:
            assert response.status in {400, 401, 429}


async def test_five_wrong_tries_close_the_door_for_a_minute(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    for _ in range(TRIES - 1):
        assert await status(http, "/api/state", AWAY | WRONG) == 401
    async with http.post("/login", data={"token": "guess"}, headers=AWAY) as response:
        assert response.status == 401
    async with http.post("/login", data={"token": TOKEN}, headers=AWAY) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "60"
    assert await status(http, "/api/state", AWAY | BEARER) == 429  # the right one tells nothing either
    assert await status(http, "/login", AWAY) == 200
    desk.clock.forward(TRIES_WINDOW)
    assert await status(http, "/api/state", AWAY | BEARER) == 200


async def test_many_tries_at_once_are_no_more_tries(http: aiohttp.ClientSession) -> None:
    """Whose body is still on its way when the door closes stays outside."""
    async with http.get("/healthz") as response:
        port, body = response.url.port, b"token=guess"
    head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nVia: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4 * TRIES)]
    for _, writer in lines:
        writer.write(head)
    await asyncio.sleep(0.1)  # all heads are in
    for _, writer in lines:
        writer.write(body)
    async with asyncio.timeout(5):
        answers = [await reader.readline() for reader, _ in lines]
    for _, writer in lines:
        writer.close()
    assert sum(b" 401 " in answer for answer in answers) == TRIES
    assert sum(b" 429 " in answer for answer in answers) == 3 * TRIES


async def test_a_phone_that_is_logged_in_does_not_suffer_from_guesses(http: aiohttp.ClientSession) -> None:
    async with http.post("/login", data={"token": TOKEN}, headers=AWAY):
        pass
    for _ in range(TRIES + 1):
        await status(http, "/login", AWAY, "POST")
    assert await status(http, "/login", AWAY, "POST") == 429
    assert await status(http, "/api/state", AWAY) == 200


async def test_strict_headers_on_every_response(http: aiohttp.ClientSession) -> None:
    for path in ("/", "/login", "/api/state", "/static/app.js", "/healthz", "/nothing"):
        async with http.get(path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["Cache-Control"] == ("no-cache" if path.startswith("/static") else "no-store")


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py", "/static/"]
)
async def test_static_serves_its_folder_only(http: aiohttp.ClientSession, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", http._base_url.port if http._base_url else 0)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.split()[1] in {b"403", b"404"}
    assert b"class WebServer" not in answer


def test_cookies_live_half_a_year_and_die_with_the_token() -> None:
    gate = Gate(SecretStr("one"))
    cookie = gate.new_cookie(1000.0)
    assert gate.who("192.0.2.1", {}, cookie, 1000.0 + COOKIE_LIVES - 1) is not None
    assert gate.who("192.0.2.1", {}, cookie, 1000.0 + COOKIE_LIVES + 1) is None
    assert Gate(SecretStr("one")).who("192.0.2.1", {}, cookie, 1000.0) is not None  # a restart
    assert Gate(SecretStr("two")).who("192.0.2.1", {}, cookie, 1000.0) is None
    assert Gate(None).who("192.0.2.1", {}, cookie, 1000.0) is None


@pytest.mark.parametrize("forged", ["", ".", "..", "99999999999.aa.bb", "x.y.z", "９.a.b", "a" * 5000, "\udcff.\udcff"])
def test_forged_cookies(forged: str) -> None:
    assert Gate(SecretStr("one")).who("192.0.2.1", {}, forged, 1000.0) is None


def test_a_changed_cookie_is_no_cookie() -> None:
    gate = Gate(SecretStr("one"))
    until, nonce, signature = gate.new_cookie(1000.0).split(".")
    assert gate.who("192.0.2.1", {}, f"{int(until) + 1}.{nonce}.{signature}", 1000.0) is None


def test_only_so_many_codes_are_open() -> None:
    gate = Gate(SecretStr("one"))
    codes = [gate.new_code(0.0) for _ in range(CODES_KEPT + 1)]
    assert not gate.spend_code(codes[0], 1.0)
    assert all(gate.spend_code(code, 1.0) for code in codes[1:])


@pytest.mark.parametrize(
    ("peer", "here"),
    [("127.0.0.1", True), ("127.9.8.7", True), ("::1", True), ("::ffff:127.0.0.1", True),
     ("192.168.1.2", False), ("::ffff:192.168.1.2", False), ("", False), ("localhost", False)],
)  # fmt: skip
def test_which_peers_are_here(peer: str, here: bool) -> None:
    assert is_loopback(peer) is here


async def test_broken_http_is_answered_and_told_once(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    assert http._base_url is not None
    for line in (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b", b"\x16\x03\x01\x02\x00", b"GET /\xff HTTP/9", b"a" * 9000):
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", http._base_url.port or 0)
            writer.write(line + b"\r\n\r\n")
            assert b" 400 " in await reader.readline()
            writer.close()
    complaints = [record for record in caplog.records if "broken HTTP" in record.message]
    assert 1 <= len(complaints) <= 4
    assert not any(record.exc_info for record in caplog.records)
    assert await status(http, "/api/state", {"Authorization": "Bearer \udcff\udcfe"}) == 200
