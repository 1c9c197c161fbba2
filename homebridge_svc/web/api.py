"""The HTTP API: reads snapshots and the journal, posts commands, decides nothing."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

from homebridge_svc.core.events import CommandHeard, Delivery
from homebridge_svc.core.model import Json
from homebridge_svc.core.orders import Say
from homebridge_svc.errors import Refused, Unreachable, WireError
from homebridge_svc.ports import Clock, Desk
from homebridge_svc.web.auth import CODE_LIVES, COOKIE, TRIES, TRIES_WINDOW, Gate, Identity
from homebridge_svc.web.bodies import HINT, MAX_BODY, NO, answers_json, read_command, row_json, view_json
from homebridge_svc.web.hooks import HookTable
from homebridge_svc.web.metrics import CONTENT_TYPE, exposition

log = logging.getLogger(__name__)

BODY_WITHIN = 10.0  # real seconds a body may take to arrive
WAIT = 2.0  # real seconds a command's caller waits for answers, if it does not say
WAIT_MOST = 120.0  # … and at most: a boot with a plug cycle is over by then
ASKING = 64  # callers waiting at a time; more are busy
ROWS_MOST = 500
HEART = 30.0  # real seconds since the engine's last heartbeat within which it counts as alive


class Api:
    """Handlers of `/api`, `/hook`, `/metrics` and `/healthz`."""

    def __init__(
        self, desk: Desk, clock: Clock, *, gate: Gate, hooks: HookTable, new_id: Callable[[], str], version: str
    ) -> None:
        self._desk = desk
        self._clock = clock
        self._gate = gate
        self._hooks = hooks
        self._new_id = new_id
        self._version = version
        self._asking = 0

    def routes(self) -> list[web.RouteDef]:
        """Say who serves what."""
        return [
            web.get("/api/state", self.state),
            web.post("/api/command", self.command),
            web.get("/api/explain", self.explain),
            web.get("/api/explain/{chain}", self.explain),
            web.get("/api/journal", self.journal),
            web.post("/api/link", self.link),
            web.post("/hook/{name}", self.hook),
            web.get("/healthz", self.healthz),
            web.get("/metrics", self.metrics),
        ]

    def whole_state(self) -> dict[str, Json]:
        """Every device as it stands, with the time and speed that its countdowns need."""
        devices: dict[str, Json] = {key: view_json(view) for key, view in self._desk.snapshot().items()}
        speed = 1.0 / self._clock.real(1.0)
        return {"version": self._version, "now": self._utc().timestamp(), "speed": speed, "devices": devices}

    async def state(self, _request: web.Request) -> web.Response:
        """`GET /api/state`."""
        return web.json_response(self.whole_state())

    async def command(self, request: web.Request) -> web.Response:
        """`POST /api/command?wait=2`: 200 with answers, 202 when there is none yet, 429 when busy."""
        try:
            wait = _number(request, "wait", WAIT, WAIT_MOST)
            wanted = read_command(await read_body(request))
        except WireError as problem:
            return failure(400, str(problem), HINT)
        if self._asking >= ASKING:
            return failure(429, "too many callers wait for answers", "try again in a moment")
        sent_at = None if wanted.at is None else self._clock.policy(wanted.at)
        command = CommandHeard(
            id=wanted.id or self._new_id(),
            at=self._clock.now(),
            origin="web",
            text=wanted.text,
            device=wanted.device,
            delivery=Delivery(caller=f"web:{request.remote}", sent_at=sent_at, has_id=wanted.id is not None),
        )
        self._asking += 1
        try:
            answers = await self._desk.ask(command, wait=wait)
        finally:
            self._asking -= 1
        status = 202 if not answers else 429 if answers[-1].say is Say.BUSY else 200
        ok = not any(answer.say in NO for answer in answers)
        return web.json_response({"id": command.id, "ok": ok, "answers": answers_json(answers)}, status=status)

    async def explain(self, request: web.Request) -> web.Response:
        """`GET /api/explain` (the newest command's chain) and `GET /api/explain/<id>`."""
        rows = self._desk.chronicle.chain(request.match_info.get("chain"))
        if not rows:
            return failure(404, "the journal knows no such command", "GET /api/journal lists what it knows")
        return web.json_response({"chain": rows[0].chain, "rows": [row_json(row) for row in rows]})

    async def journal(self, request: web.Request) -> web.Response:
        """`GET /api/journal?limit=100`: rows, newest first."""
        try:
            limit = int(_number(request, "limit", 100, ROWS_MOST))
        except WireError as problem:
            return failure(400, str(problem), f"limit is 1 to {ROWS_MOST}")
        return web.json_response({"rows": [row_json(row) for row in self._desk.chronicle.recent(max(1, limit))]})

    async def link(self, request: web.Request) -> web.Response:
        """`POST /api/link`: a one-time code. Only for who holds the token or sits at this machine."""
        if self.identify(request) is Identity.COOKIE:
            return failure(403, "a logged-in browser cannot make codes", "homebridge-svc link makes one")
        if not self._gate.has_token:
            return failure(409, "without a token nobody can log in", "set token in [web]")
        return web.json_response({"code": self._gate.new_code(self.seconds()), "expires_in": CODE_LIVES})

    async def hook(self, request: web.Request) -> web.Response:
        """`POST /hook/<name>`: 202 with the event's id; 400, 401 and 429 as the hook says."""
        hook = self._hooks.find(request.match_info["name"])
        if hook is None:
            return failure(404, "no hook has this name", '[[voice]] driver = "webhook" mounts one')
        try:
            event = hook(await read_body(request), request.headers)
        except WireError as problem:
            return failure(400, str(problem), "")
        except Refused as problem:
            self.wrong_try(request)
            return failure(401, str(problem), "")
        except Unreachable as problem:
            return failure(429, str(problem), "try again in a moment")
        return web.json_response({"id": event}, status=202)

    async def healthz(self, _request: web.Request) -> web.Response:
        """`GET /healthz`: whether the engine's loop turns. For everybody, without details."""
        alive = self._desk.figures().get("homebridge_heartbeat_age_seconds", math.inf) < HEART
        return web.Response(text="ok\n" if alive else "stalled\n", status=200 if alive else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        """`GET /metrics`."""
        return web.Response(body=exposition(self._desk.figures()).encode(), headers={"Content-Type": CONTENT_TYPE})

    def identify(self, request: web.Request) -> Identity | None:
        """Who asks; None: nobody we know."""
        return self._gate.who(request.remote or "", request.headers, request.cookies.get(COOKIE), self.unix())

    def wrong_try(self, request: web.Request) -> None:
        """Count a wrong token or code against who sent it."""
        peer = request.remote or ""
        if self._gate.throttle.failed(peer, self.seconds()):
            log.warning("web: %d wrong tries from %s; it waits %.0f s", TRIES, peer, TRIES_WINDOW)

    def seconds(self) -> float:
        """Real seconds that never step, for codes and wrong tries: --speed makes neither shorter (rule 3)."""
        return self._clock.real(self._clock.now().mono)

    def unix(self) -> float:
        """Wall time for cookies."""
        return self._utc().timestamp()

    def _utc(self) -> datetime:
        return self._clock.now().utc.astimezone(UTC)


def failure(status: int, error: str, hint: str) -> web.Response:
    """Say no as JSON."""
    return web.json_response({"error": error, "hint": hint}, status=status)


async def read_body(request: web.Request) -> bytes:
    """Read a body of MAX_BODY bytes within BODY_WITHIN. Raises WireError."""
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await request.read()
    except TimeoutError:
        raise WireError("the body did not arrive in time") from None
    except web.HTTPRequestEntityTooLarge:
        raise WireError(f"the body is larger than {MAX_BODY} bytes") from None


def _number(request: web.Request, name: str, default: float, most: float) -> float:
    """Read a number of the query, 0 … most. Raises WireError."""
    try:
        value = float(request.query.get(name, default))
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise WireError(f"{name} is a number from 0 to {most:g}")
    return value
