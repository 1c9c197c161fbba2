"""The web server: binds, asks who is there, hands requests to the page and the API. It decides nothing.

Every request passes `_guard` (the four questions of auth.py) before a handler sees it, and every response leaves with
the same strict headers: no inline script, no frame, no sniffing, no referrer, nothing readable from another origin.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.http import HttpProcessingError
from pydantic import SecretStr

from homebridge_svc.errors import WireError
from homebridge_svc.ports import Clock, Desk
from homebridge_svc.web.api import Api, failure, read_body
from homebridge_svc.web.auth import COOKIE, COOKIE_LIVES, Gate
from homebridge_svc.web.bodies import MAX_BODY
from homebridge_svc.web.hooks import Hook, HookTable
from homebridge_svc.web.live import Live

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
SHUTDOWN = 2.0  # real seconds that open requests get when the server closes
OPEN_TO_ALL = ("/login", "/static/", "/hook/")  # hooks ask for secrets of their own
READING = frozenset({"GET", "HEAD"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _OncePerKind(logging.Filter):
    """aiohttp tells of every peer that speaks broken HTTP, with a traceback; one of each kind is enough."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop repetitions; faults of our own always pass."""
        fault = record.exc_info[1] if record.exc_info else None
        if not isinstance(fault, HttpProcessingError):
            return True
        kind = type(fault).__name__
        record.msg, record.args, record.exc_info = "web: a peer speaks broken HTTP: %s (told once)", (kind,), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        fresh = kind not in self._known
        self._known.add(kind)
        return fresh


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer:
    """The page and the API. `async with` listens, `run` keeps open pages up to date; implements ports.Hooks.

    host, port: where to listen; port 0 takes a free one (`port` tells it). token: None where only loopback is served.
    names: further names of this machine that a Host header may carry.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        desk: Desk,
        clock: Clock,
        token: SecretStr | None,
        new_id: Callable[[], str],
        names: Collection[str] = (),
        version: str = "",
    ) -> None:
        self._host = host
        self._port = port
        self._gate = Gate(token, {host, *names})
        self._hooks = HookTable()
        self._api = Api(desk, clock, gate=self._gate, hooks=self._hooks, new_id=new_id, version=version)
        self._live = Live(desk, self._api.whole_state)
        self._login_page = Template("")
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    def mount(self, name: str, hook: Hook) -> None:
        """Serve a voice webhook as POST /hook/<name>. Raises ConfigError when the name is taken."""
        self._hooks.mount(name, hook)

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError when the address is taken or not ours."""
        self._login_page = Template((STATIC.parent / "login.html").read_text(encoding="utf-8"))
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._guard])
        app.on_response_prepare.append(_harden)
        app.add_routes(self._api.routes())
        app.router.add_get("/", self._page)
        app.router.add_get("/api/events", self._live.stream, allow_head=False)
        app.router.add_get("/login", self._login_form)
        app.router.add_post("/login", self._login)
        app.router.add_static("/static", STATIC)
        peers = logging.getLogger(f"{__name__}.peers")
        peers.filters = [_OncePerKind()]
        runner = web.AppRunner(app, access_log=None, logger=peers, shutdown_timeout=SHUTDOWN, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]
        log.info("web: listening on %s port %d", self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all streams and stop listening."""
        self._live.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def run(self) -> None:
        """Keep open pages up to date until cancelled. Within `async with`."""
        await self._live.run()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await self._admit(request, handler)
        except web.HTTPException as problem:
            if problem.status < 400:  # noqa: PLR2004  redirects are answers
                raise
            return failure(problem.status, problem.reason, "")

    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/healthz":
            return await handler(request)
        if request.method not in READING and request.path.startswith(OPEN_TO_ALL):
            try:
                await read_body(request)  # first: a door that closes while a body is on its way stays closed to it
            except WireError as problem:
                return failure(400, str(problem), "")
        guess = self._gate.shows_token(request.headers)
        if objection := self._objection(request, guess=guess):
            return objection
        if request.path.startswith(OPEN_TO_ALL):
            return await handler(request)
        if self._api.identify(request) is None:
            return self._stranger(request, guess=guess)
        return await handler(request)

    def _objection(self, request: web.Request, *, guess: bool) -> web.Response | None:
        """What is wrong before it matters who asks."""
        changes = request.method not in READING
        if not self._gate.knows_host(request.headers.get("Host", "")):
            return failure(421, "this is not a name of mine", "use the address, or add the name to names in [web]")
        if changes and not self._gate.own_page(request.headers):
            return failure(403, "another site sent this", "")
        if guess or (changes and request.path.startswith(OPEN_TO_ALL)):
            pause = self._gate.throttle.wait(request.remote or "", self._api.seconds())
            if pause:
                response = failure(429, "too many wrong tries", f"wait {pause:.0f} s")
                response.headers["Retry-After"] = f"{pause:.0f}"
                return response
        return None

    def _stranger(self, request: web.Request, *, guess: bool) -> web.StreamResponse:
        if guess:
            self._api.wrong_try(request)
        if request.path == "/":
            raise web.HTTPSeeOther("/login")
        response = failure(401, "who is there?", "send the token of [web] as a bearer token, or log in at /login")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def _page(self, _request: web.Request) -> web.StreamResponse:
        """`GET /`."""
        return web.FileResponse(STATIC / "index.html")

    async def _login_form(self, request: web.Request) -> web.StreamResponse:
        """`GET /login`: a form that changes nothing; `?code=` of a QR code only fills it in."""
        code = request.query.get("code", "")
        if not code and self._api.identify(request) is not None:
            raise web.HTTPSeeOther("/")
        return self._form(code)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        """`POST /login` with `token` or `code`: gives the cookie, once per code."""
        try:
            form = parse_qs((await read_body(request)).decode(errors="replace"), max_num_fields=4)
        except ValueError:
            form = {}
        token, code = form.get("token", [""])[0], form.get("code", [""])[0]
        fits = self._gate.token_fits(token) or self._gate.spend_code(code, self._api.seconds())
        if not fits:
            self._api.wrong_try(request)
            return self._form("", "这个口令或链接不对，或者已经用过。 That token or link is wrong, or was used.", 401)
        response = web.HTTPSeeOther("/")
        cookie = self._gate.new_cookie(self._api.unix())
        response.set_cookie(COOKIE, cookie, max_age=int(COOKIE_LIVES), httponly=True, samesite="Strict", path="/")
        raise response

    def _form(self, code: str, message: str = "", status: int = 200) -> web.Response:
        """The login page; it works without script."""
        text = self._login_page.substitute(
            code=html.escape(code, quote=True), by="code" if code else "token", message=html.escape(message)
        )
        return web.Response(text=text, content_type="text/html", status=status)


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    """Add the strict headers to every response."""
    response.headers.update(HEADERS)
    response.headers["Cache-Control"] = "no-cache" if request.path.startswith("/static/") else "no-store"
