"""Who may speak to the daemon over HTTP.

Theory of operation. Four questions, asked of every request in this order:

1. *Does the Host header name this machine?* A page on the internet can make a name of its own resolve to an address
   in the flat (DNS rebinding); it cannot make the browser send a Host that is an address or one of our names.
2. *Does a state-changing request come from our own page?* Browsers say so in Sec-Fetch-Site or Origin; programs send
   neither.
3. *Who is it?* A peer on loopback needs no token, unless a proxy forwarded somebody else. Everybody else shows the
   token (`Authorization: Bearer`) or the cookie that `/login` gave.
4. *Did this peer guess too often?* Five wrong tries close the door to it for a minute.

The cookie is signed with a key made from the token instead of being remembered: phones stay logged in over a restart,
nothing is stored, and a new token logs everybody out. Nothing here reads a clock: `now` is in real seconds, `unix`
is wall time.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Collection, Mapping
from enum import Enum, auto

from pydantic import SecretStr

COOKIE = "homebridge_session"
COOKIE_LIVES = 180 * 86_400.0  # seconds: a family phone should not ask twice a year
CODE_LIVES = 600.0  # seconds a one-time code may be used
CODES_KEPT = 16  # open one-time codes; the oldest gives way
TRIES = 5  # wrong tokens or codes per peer …
TRIES_WINDOW = 60.0  # … in so many seconds, and the pause after them
PEERS_KEPT = 256  # peers whose wrong tries are remembered
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")  # a proxy speaks for somebody who is not here


class Identity(Enum):
    """How a caller was recognised."""

    HERE = auto()  # a process on this machine
    BEARER = auto()
    COOKIE = auto()


class Throttle:
    """Counts wrong tries per peer; a peer with too many waits."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, float]] = {}  # peer -> (tries, real seconds of the first one)

    def wait(self, peer: str, now: float) -> float:
        """Real seconds until `peer` may try again; 0 when it may at once."""
        tries, since = self._failed.get(peer, (0, now))
        return max(0.0, since + TRIES_WINDOW - now) if tries >= TRIES else 0.0

    def failed(self, peer: str, now: float) -> bool:
        """Count a wrong try; True when it was the one that closes the door."""
        tries, since = self._failed.pop(peer, (0, now))
        if now - since >= TRIES_WINDOW:
            tries, since = 0, now
        tries += 1
        self._failed[peer] = (tries, now if tries == TRIES else since)
        if len(self._failed) > PEERS_KEPT:
            del self._failed[next(iter(self._failed))]
        return tries == TRIES


class Gate:
    """Answers the four questions. `names`: further host names of this machine ("pi.local")."""

    def __init__(self, token: SecretStr | None, names: Collection[str] = ()) -> None:
        self._token = None if token is None else _digest(token.get_secret_value())
        self._key = None if token is None else _digest("homebridge_svc session key\0" + token.get_secret_value())
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names)}
        self._codes: dict[bytes, float] = {}  # digest -> real seconds until which it opens
        self.throttle = Throttle()

    @property
    def has_token(self) -> bool:
        """Whether anybody beyond loopback can log in at all."""
        return self._token is not None

    def knows_host(self, host: str) -> bool:
        """Whether a Host header is an address (no rebinding possible) or one of our names."""
        name = _host_name(host)
        return name in self._names or _address(name) is not None

    def own_page(self, headers: Mapping[str, str]) -> bool:
        """Whether a state-changing request comes from our own page, or from a program, which says nothing."""
        site = headers.get("Sec-Fetch-Site")
        if site is not None:
            return site in {"same-origin", "none"}
        origin = headers.get("Origin")
        return origin is None or origin.partition("://")[2].lower() == headers.get("Host", "").lower()

    def who(self, peer: str, headers: Mapping[str, str], cookie: str | None, unix: float) -> Identity | None:
        """Recognise the caller; None: nobody we know."""
        bearer = _bearer(headers)
        if bearer is not None and self.token_fits(bearer):
            return Identity.BEARER
        if cookie is not None and self._cookie_fits(cookie, unix):
            return Identity.COOKIE
        if is_loopback(peer) and not any(name in headers for name in FORWARDED):
            return Identity.HERE
        return None

    def shows_token(self, headers: Mapping[str, str]) -> bool:
        """Whether the request shows a token at all: a wrong one is a try that counts."""
        return _bearer(headers) is not None

    def token_fits(self, given: str) -> bool:
        """Compare in constant time."""
        return self._token is not None and hmac.compare_digest(self._token, _digest(given))

    def new_code(self, now: float) -> str:
        """Make a one-time code of 128 bits; only its digest is kept, for CODE_LIVES seconds."""
        code = secrets.token_urlsafe(16)
        self._codes = {digest: until for digest, until in self._codes.items() if until > now}
        while len(self._codes) >= CODES_KEPT:
            del self._codes[next(iter(self._codes))]
        self._codes[_digest(code)] = now + CODE_LIVES
        return code

    def spend_code(self, given: str, now: float) -> bool:
        """Whether the code opens; it never does twice."""
        digest = _digest(given)
        known = next((kept for kept in self._codes if hmac.compare_digest(kept, digest)), None)
        return known is not None and self._codes.pop(known) > now

    def new_cookie(self, unix: float) -> str:
        """Make the value of a session cookie. Only where there is a token."""
        claim = f"{int(unix + COOKIE_LIVES)}.{secrets.token_hex(8)}"
        return f"{claim}.{self._sign(claim)}"

    def _cookie_fits(self, value: str, unix: float) -> bool:
        claim, _, signature = value.rpartition(".")
        if self._key is None or not hmac.compare_digest(self._sign(claim).encode(), signature.encode(errors="replace")):
            return False
        return int(claim.partition(".")[0]) > unix  # the signature says that we wrote these digits

    def _sign(self, claim: str) -> str:
        assert self._key is not None, "cookies need a token"  # noqa: S101  a caller's mistake, not a peer's
        return hmac.new(self._key, claim.encode(errors="replace"), hashlib.sha256).hexdigest()


def is_loopback(peer: str) -> bool:
    """Whether an address is of this machine's loopback; mapped IPv4 counts."""
    address = _address(peer)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
