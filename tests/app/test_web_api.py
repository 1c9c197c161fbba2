"""The HTTP API over real sockets: commands, journal, hooks, health, metrics."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.web import LittleDesk, serving, until

from homebridge_svc.core.model import DeviceView
from homebridge_svc.core.orders import Say
from homebridge_svc.errors import ConfigError, Refused, Unreachable, WireError
from homebridge_svc.web.api import ASKING
from homebridge_svc.web.bodies import MAX_BODY, NO, Wanted, plain, read_command
from homebridge_svc.web.metrics import exposition
from homebridge_svc.web.server import WebServer


@pytest.fixture
def desk() -> LittleDesk:
    return LittleDesk()


@pytest.fixture
async def served(desk: LittleDesk) -> AsyncIterator[tuple[WebServer, aiohttp.ClientSession]]:
    async with serving(desk) as (server, url), aiohttp.ClientSession(url) as session:
        yield server, session


@pytest.fixture
def http(served: tuple[WebServer, aiohttp.ClientSession]) -> aiohttp.ClientSession:
    return served[1]


async def post(http: aiohttp.ClientSession, body: object, path: str = "/api/command") -> tuple[int, dict[str, object]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.post(path, data=data) as response:
        return response.status, await response.json()


async def test_the_state_is_every_device_with_time_and_version(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/state") as response:
        state = await response.json()
    assert state["version"] == "0.test"
    assert state["speed"] == 1.0
    assert state["now"] == datetime(2025, 11, 21, 12, 30, tzinfo=UTC).timestamp()
    assert state["devices"]["bathroom"]["kind"] == "pump"
    assert state["devices"]["bathroom"]["state"]["phase"] == "idle"


@pytest.mark.parametrize(
    ("body", "device", "text"),
    [
        ({"device": "living_room", "do": "volume 12"}, "living_room", "volume 12"),
        ({"do": "living_room.volume 12"}, "living_room", "volume 12"),
        ({"do": "living_room.app com.example.tv"}, "living_room", "app com.example.tv"),
        ({"device": "living_room", "do": "app com.example.tv"}, "living_room", "app com.example.tv"),
        ({"say": "  看\u3000电影 "}, None, "看 电影"),
    ],
)
async def test_ways_to_give_a_command(
    http: aiohttp.ClientSession, desk: LittleDesk, body: dict[str, object], device: str | None, text: str
) -> None:
    status, _ = await post(http, body)
    assert status == 200
    (heard,) = desk.asked
    assert (heard.device, heard.text, heard.origin, heard.person) == (device, text, "web", True)
    assert heard.delivery.has_id is False


async def test_a_callers_id_and_time_go_with_the_command(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    _, answer = await post(http, {"do": "lamp.off", "id": "phone-7", "at": 1763728200})
    assert answer["id"] == "phone-7"
    delivery = desk.asked[0].delivery
    assert (delivery.has_id, delivery.sent_at, delivery.caller) == (True, 1763728200.0, "web:127.0.0.1")


async def test_answers_come_as_they_are(http: aiohttp.ClientSession) -> None:
    status, done = await post(http, {"do": "lamp.off"})
    assert (status, done["ok"]) == (200, True)
    assert done["answers"] == [{"device": "lamp", "say": "done", "why": "the plug says so", "zh": "完成"}]
    status, refused = await post(http, {"do": "lamp.dance"})
    assert (status, refused["ok"]) == (200, False)


async def test_waiting_is_the_callers_choice(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    _, answer = await post(http, {"do": "living_room.power on"}, "/api/command?wait=5")
    assert isinstance(answer["answers"], list)
    assert [each["say"] for each in answer["answers"]] == ["accepted", "done"]
    desk.silent = True
    status, answer = await post(http, {"do": "living_room.power on"}, "/api/command?wait=0")
    assert (status, answer["answers"]) == (202, [])
    for nonsense in ("nan", "inf", "-1", "1e9", "soon", "", "1_0_0_0"):
        status, _ = await post(http, {"do": "lamp.on"}, f"/api/command?wait={nonsense}")
        assert status == 400


async def test_a_busy_desk_is_429(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    desk.busy = True
    status, answer = await post(http, {"do": "lamp.on"})
    assert (status, answer["ok"]) == (429, False)


async def test_only_so_many_callers_wait(desk: LittleDesk) -> None:
    desk.silent = True
    connector = aiohttp.TCPConnector(limit=0)
    async with serving(desk) as (_, url), aiohttp.ClientSession(url, connector=connector) as http:
        waiting = [http.post("/api/command?wait=60", data='{"do": "lamp.on"}') for _ in range(ASKING)]
        tasks = [asyncio.create_task(each.__aenter__()) for each in waiting]

        async def all_ask() -> bool:
            return len(desk.asked) == ASKING

        await until(all_ask)
        status, _ = await post(http, {"do": "lamp.on"})
        assert status == 429
        for task in tasks:
            task.cancel()


BAD = [
    b"", b"null", b"[]", b'"power on"', b"1", b"{", b"\xff\xfe{}", b'{"do": "a.b"', b"{}", b'{"do": null}',
    b'{"do": 1}',
    b'{"do": ""}', b'{"do": "  "}', b'{"do": "power on"}', b'{"do": ".power on"}', b'{"do": "living_room."}',
    b'{"do": "Living.on"}', b'{"device": "living_room"}', b'{"device": "a/b", "do": "on"}',
    b'{"device": 1, "do": "on"}',
    b'{"device": "lamp", "say": "on"}', b'{"do": "lamp.on", "say": "on"}', b'{"do": "lamp.on", "at": NaN}',
    b'{"do": "lamp.on", "at": Infinity}', b'{"do": "lamp.on", "at": 1e999}', b'{"do": "lamp.on", "at": "now"}',
    b'{"do": "lamp.on", "at": true}', b'{"do": "lamp.on", "at": ' + b"9" * 5000 + b"}", b'{"do": "lamp.on", "id": 7}',
    b'{"do": "lamp.on", "id": ""}', b'{"do": "lamp.on", "id": "a b"}', b'{"do": "lamp.on", "id": "' + b"a" * 65 + b'"}',
    b'{"do": "lamp.on", "please": 1}', b'{"do": "lamp.on\\u0000"}', b'{"say": "\\ud800"}', b'{"say": "\\u001b[2J"}',
    b'{"say": "' + b"a" * 201 + b'"}', b"[" * 15_000, b'{"do":' * 2500, b" " * (MAX_BODY + 1),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
async def test_nonsense_is_400_with_a_hint_and_reaches_nobody(
    http: aiohttp.ClientSession, desk: LittleDesk, body: bytes
) -> None:
    status, answer = await post(http, body)
    assert status == 400
    assert answer["error"]
    assert "living_room" in str(answer["hint"])
    assert desk.asked == []


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
_almost = st.dictionaries(
    st.sampled_from(["do", "say", "device", "id", "at", "x"]), _json | st.text("abc._ 1"), max_size=5
)


@given(
    st.binary(max_size=300)
    | _json.map(lambda value: json.dumps(value).encode())
    | _almost.map(lambda v: json.dumps(v).encode())
)
def test_any_body_is_a_clean_command_or_a_wire_error(body: bytes) -> None:
    try:
        wanted = read_command(body)
    except WireError:
        return
    assert isinstance(wanted, Wanted)
    assert wanted.text.isprintable()
    assert 0 < len(wanted.text) <= 200
    assert wanted.at is None or math.isfinite(wanted.at)


@given(_json)
def test_what_goes_out_is_json_for_every_parser(value: object) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(name)

    json.loads(json.dumps(plain(value)).encode(), parse_constant=no_constant)


async def test_a_sensor_that_says_nan_does_not_break_the_page(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    desk.change("return_temperature", value=math.nan)
    desk.devices["odd"] = DeviceView("odd", "sensor", "\ud800", available=True, state={"value": math.inf})
    async with http.get("/api/state") as response:
        state = json.loads(await response.text(), parse_constant=pytest.fail)
    assert state["devices"]["return_temperature"]["state"]["value"] is None


async def test_explain_gives_a_chain_by_id_by_its_beginning_or_the_newest(http: aiohttp.ClientSession) -> None:
    await post(http, {"do": "bathroom.run 3m", "id": "abc123"}, "/api/command?wait=0.1")
    for path in ("/api/explain/abc123", "/api/explain/abc", "/api/explain"):
        async with http.get(path) as response:
            found = await response.json()
        assert found["chain"] == "abc123"
        assert [row["kind"] for row in found["rows"]] == ["heard", "decided", "sent", "answered"]
    async with http.get("/api/explain/nobody") as response:
        assert response.status == 404


async def test_the_journal_is_newest_first_and_bounded(http: aiohttp.ClientSession, desk: LittleDesk) -> None:
    for number in range(5):
        desk.write(None, "changed", "lamp", f"change {number}")
    async with http.get("/api/journal?limit=2") as response:
        assert [row["text"] for row in (await response.json())["rows"]] == ["change 4", "change 3"]
    for nonsense in ("many", "-1", "501", "nan"):
        async with http.get(f"/api/journal?limit={nonsense}") as response:
            assert response.status == 400


async def test_a_hook_gets_body_and_headers_and_answers_for_itself(
    served: tuple[WebServer, aiohttp.ClientSession],
) -> None:
    server, http = served

    def hook(body: bytes, headers: Mapping[str, str]) -> str:
        if headers.get("authorization") != "Bearer secret":
            raise Refused("the hook's token is missing or wrong")
        if body == b"busy":
            raise Unreachable("too many commands at once")
        if not body:
            raise WireError("no phrase")
        return "id9"

    server.mount("phone", hook)
    for body, token, expected in (
        (b"x", "secret", 202), (b"", "secret", 400), (b"busy", "secret", 429), (b"x", "guess", 401),
        (b" " * (MAX_BODY + 1), "secret", 400),
    ):  # fmt: skip
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "203.0.113.9"}
        async with http.post("/hook/phone", data=body, headers=headers) as response:
            assert response.status == expected
    async with http.post("/hook/nobody", data=b"x") as response:
        assert response.status == 404


def test_two_hooks_of_one_name_are_a_mistake_of_the_file(desk: LittleDesk) -> None:
    server = WebServer("127.0.0.1", 0, desk=desk, clock=desk.clock, token=None, new_id=lambda: "id")
    server.mount("phone", lambda _body, _headers: "")
    with pytest.raises(ConfigError, match="used twice"):
        server.mount("phone", lambda _body, _headers: "")
    with pytest.raises(ConfigError, match="is not a name"):
        server.mount("a/b", lambda _body, _headers: "")


@pytest.mark.parametrize(("age", "status"), [(0.1, 200), (29.9, 200), (30.0, 503), (math.inf, 503)])
async def test_health_is_the_engines_heartbeat(
    http: aiohttp.ClientSession, desk: LittleDesk, age: float, status: int
) -> None:
    desk.heartbeat_age = age
    async with http.get("/healthz", headers={"Host": "any.name", "X-Forwarded-For": "203.0.113.9"}) as response:
        assert response.status == status
        assert len(await response.text()) < 10


async def test_metrics_read_like_prometheus(http: aiohttp.ClientSession) -> None:
    async with http.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = (await response.text()).splitlines()
    assert lines.count("# TYPE homebridge_orders_total counter") == 1
    assert 'homebridge_orders_total{result="done"} 3' in lines
    assert "# TYPE homebridge_heartbeat_age_seconds gauge" in lines


def test_figures_that_are_no_numbers() -> None:
    text = exposition({"a": math.nan, "b": math.inf, "c": -math.inf, "d_total": 12345678.5})
    assert "a NaN\n" in text
    assert "b +Inf\n" in text
    assert "c -Inf\n" in text
    assert "d_total 12345678.5\n" in text


async def test_unknown_paths_and_methods_answer_in_json(http: aiohttp.ClientSession) -> None:
    for method, path, expected in (
        ("GET", "/nothing", 404),
        ("DELETE", "/api/state", 405),
        ("OPTIONS", "/api/command", 405),
    ):
        async with http.request(method, path) as response:
            assert response.status == expected
            assert (await response.json())["error"]


async def test_a_taken_port_is_an_oserror(desk: LittleDesk, served: tuple[WebServer, aiohttp.ClientSession]) -> None:
    second = WebServer("127.0.0.1", served[0].port, desk=desk, clock=desk.clock, token=None, new_id=lambda: "id")
    with pytest.raises(OSError, match="address already in use"):
        async with second:
            pass


def test_a_no_is_every_say_that_a_person_would_call_one() -> None:
    assert set(Say) - NO == {Say.ACCEPTED, Say.DONE, Say.DUPLICATE, Say.SUPERSEDED}
