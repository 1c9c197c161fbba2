"""One authorised ADB connection, on adb-shell with its faults mended.

Theory of operation. adb-shell is trusted with the protocol and with nothing else:

* at EOF it spins without yielding: `_Transport` turns EOF into ConnectionResetError;
* its idea of being connected is not ours: a `Session` that failed once is closed and never used again;
* its exceptions share no base: all of them end here as Unreachable, Refused or, once bytes of a line have left,
  OutcomeUnknown;
* closing waits until everything was sent, which a dead peer never takes: here a connection is aborted, which also
  throws away what the kernel has not sent yet.

A session knows the device's clock, so that a line can carry a deadline which the device itself checks. An answer
takes time, so a reading is always a little old and a deadline made from it a little early: never late. Two lines at
once on one session are the caller's mistake (one lock per device).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adb_shell import exceptions as adb_errors
from adb_shell.adb_device_async import AdbDeviceAsync
from adb_shell.auth.sign_cryptography import CryptographySigner
from adb_shell.transport.tcp_transport_async import TcpTransportAsync
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from homebridge_svc.errors import DeviceError, OutcomeUnknown, Refused, Unreachable
from homebridge_svc.wire import adb, android
from homebridge_svc.wire.adb import PublicKey
from homebridge_svc.wire.android import ClockKind, Deadline, Greeting, Reading

RETRY_S = 0.2  # seconds: right after waking a device may turn a good key down, or hang up, once
DRIFT = 1e-3  # by how much two clocks may run apart; crystals and NTP stay well below
JUMP_S = 5.0  # seconds: a clock that fell back by more has been set, not heard late
READ_S = 3.0  # seconds: adb-shell's own limit for one packet, behind our shorter ones
MAX_OUTPUT = 262_144  # bytes that a line may print
KEEPALIVE = (  # a silent half-open line is found within about 10 + 3 * 5 seconds
    ("TCP_KEEPIDLE", 10),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 3),
)
BROKEN = (
    OSError,  # TimeoutError and ConnectionError among them
    ValueError,
    struct.error,
    adb_errors.AdbCommandFailureException,
    adb_errors.AdbConnectionError,
    adb_errors.AdbTimeoutError,
    adb_errors.DeviceAuthError,
    adb_errors.InvalidChecksumError,
    adb_errors.InvalidCommandError,
    adb_errors.InvalidResponseError,
    adb_errors.TcpTimeoutException,
)


class _Transport(TcpTransportAsync):  # type: ignore[misc]  # the library has no types
    """adb-shell's TCP with an end, a size limit, keepalive, whole packets and a close that does not wait."""

    _header = b""  # waits for the data that it announces

    async def connect(self, transport_timeout_s: float | None) -> None:
        """Connect and ask the kernel to notice a dead peer."""
        await super().connect(transport_timeout_s)
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE:
            with contextlib.suppress(AttributeError, OSError):  # not every system has all three
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    async def bulk_read(self, numbytes: int, transport_timeout_s: float | None) -> bytes:
        """Read at least a byte. Raises ConnectionResetError at EOF, ValueError at an absurd announcement."""
        if numbytes > adb.MAX_DATA:
            raise ValueError(f"a packet of {numbytes} bytes")
        data: bytes = await super().bulk_read(numbytes, transport_timeout_s)
        if not data:
            raise ConnectionResetError("the peer closed the connection")
        return data

    async def bulk_write(self, data: bytes, transport_timeout_s: float | None) -> int:
        """Write a packet in one go: adb-shell hands over header and data apart, and the peer would wake up twice."""
        if not self._header and len(data) == adb.HEADER_SIZE and adb.decode_header(data).length:
            self._header = data
            return len(data)
        packet, self._header = self._header + data, b""
        sent: int = await super().bulk_write(packet, transport_timeout_s)
        return sent

    async def close(self) -> None:
        """Abort."""
        self.abort()

    def abort(self) -> None:
        """Drop the connection and what is unsent."""
        if self._writer is not None:
            self._writer.transport.abort()

    @property
    def alive(self) -> bool:
        """Neither closed here nor, as far as the loop has heard, by the peer."""
        return (
            self._writer is not None
            and not self._writer.transport.is_closing()
            and not self._reader.at_eof()
            and self._reader.exception() is None
        )


class Session:
    """An open connection; made by `connect`. greeting: who answered."""

    def __init__(self, device: AdbDeviceAsync, transport: _Transport, mono: Callable[[], float]) -> None:
        self._device = device
        self._transport = transport
        self._mono = mono
        self._clock: ClockKind | None = None
        self._offset = 0.0  # the device's clock minus `mono`
        self._read_at = 0.0  # mono
        self.greeting = Greeting(None, None)
        self.last_heard = 0.0  # loop time

    @property
    def alive(self) -> bool:
        """It may still be used."""
        return self._transport.alive

    def close(self) -> None:
        """Drop it at once."""
        self._transport.abort()

    def deadline(self, mono: float) -> Deadline:
        """Our `mono` (policy seconds) on the device's clock. Raises Unreachable: it has told none of its clocks."""
        if self._clock is None:
            raise Unreachable("the device's clock cannot be read, so an order could come late")
        return Deadline(self._clock, mono + self._offset)

    async def greet(self, *, within: float) -> Greeting:
        """Ask who answers and what its clocks say. Raises Unreachable."""
        self.greeting = android.parse_greeting(await self.ask(android.HELLO, sign=within, within=within))
        return self.greeting

    def _set_clock(self, reading: Reading) -> None:
        """The later we heard a reading, the smaller the offset it gives: the largest is the best, less the drift."""
        now = self._mono()
        kind = ClockKind.WALL if reading.uptime is None else ClockKind.UPTIME
        value = reading.wall if reading.uptime is None else reading.uptime
        if value is None:
            return
        offset = value - now
        if kind is self._clock and offset > self._offset - JUMP_S:
            offset = max(offset, self._offset - DRIFT * (now - self._read_at))
        self._clock, self._offset, self._read_at = kind, offset, now

    async def ask(self, line: str, *, sign: float, within: float) -> str:
        """Run a line that changes nothing; its output. Times as in `say`. Raises Unreachable."""
        try:
            output = await self.say(line, sign=sign, within=within)
        except OutcomeUnknown as problem:
            raise Unreachable(str(problem)) from problem
        if not android.ended(output):
            self.close()
            raise Unreachable("the answer of the shell makes no sense")
        if reading := android.parse_clock(output):
            self._set_clock(reading)
        return output

    async def say(self, line: str, *, sign: float, within: float) -> str:
        """Run a line; its output.

        sign: real seconds until the first output, within: until its end. Raises OutcomeUnknown; the session is
        closed then.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        got = bytearray()
        try:
            async with asyncio.timeout_at(min(end, loop.time() + sign)) as patience:
                chunks = self._device.streaming_shell(
                    line, transport_timeout_s=within, read_timeout_s=within, decode=False
                )
                async with contextlib.aclosing(chunks):
                    async for chunk in chunks:
                        got += chunk
                        patience.reschedule(end)
                        _check(got)
        except BaseException as problem:
            self.close()  # half a conversation cannot be taken up again, after a cancellation neither
            if isinstance(problem, BROKEN):
                when = "after it had begun" if android.verdict(_text(got)).begun else "before an answer"
                raise OutcomeUnknown(f"{explain(problem)} {when}") from problem
            raise
        self.last_heard = loop.time()
        return _text(got)


def make_key(path: Path, comment: str) -> None:
    """Write a new key pair, `path` (mode 0600) and `path`.pub; blocks. Raises OSError, FileExistsError too."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    numbers = private.public_key().public_numbers()
    public = adb.encode_public_key(PublicKey(numbers.n, numbers.e, comment))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123  Path has no mode
        file.write(pem)
    path.with_name(path.name + ".pub").write_bytes(public)


async def load_signer(path: Path) -> CryptographySigner:
    """Read the key pair `path` and `path`.pub. Raises Refused."""
    try:
        return await asyncio.to_thread(CryptographySigner, str(path))
    except (OSError, ValueError) as problem:
        raise Refused(f"no usable ADB key in {path}: run `homebridge-svc pair adb`") from problem


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to call, with which key; mono reads policy seconds."""

    host: str
    port: int
    signer: CryptographySigner
    mono: Callable[[], float]


class _HungUp(Unreachable):
    """The peer closed the connection before it was authorised."""


async def connect(peer: Peer, *, within: float, ask_person: float | None = None) -> Session:
    """Open and authorise a connection within so many real seconds.

    ask_person: seconds for a person to accept the key on the screen; None: a key that is not known is Refused and no
    question pops up over somebody's film. Raises Unreachable, Refused.
    """
    end = asyncio.get_running_loop().time() + within
    try:
        return await _connect(peer, end, ask_person)
    except (Refused, _HungUp):
        if end - asyncio.get_running_loop().time() < 2 * RETRY_S:
            raise
    await asyncio.sleep(RETRY_S)
    return await _connect(peer, end, ask_person)


async def _connect(peer: Peer, end: float, ask_person: float | None) -> Session:
    def unknown_key(_device: object) -> None:
        if ask_person is None:
            raise Refused("the projector does not know our key: run `homebridge-svc pair adb`")
        patience.reschedule(asyncio.get_running_loop().time() + ask_person)

    transport = _Transport(peer.host, peer.port)
    device = AdbDeviceAsync(transport, default_transport_timeout_s=READ_S, banner=b"homebridge-svc")
    read_s = max(READ_S, ask_person or 0.0)
    try:
        async with asyncio.timeout_at(end) as patience:
            await device.connect([peer.signer], auth_timeout_s=read_s, read_timeout_s=read_s, auth_callback=unknown_key)
    except BaseException as problem:
        transport.abort()
        if isinstance(problem, ConnectionResetError | BrokenPipeError):
            raise _HungUp(explain(problem)) from problem
        if isinstance(problem, BROKEN):
            raise Unreachable(explain(problem)) from problem
        raise
    return Session(device, transport, peer.mono)


def explain(problem: BaseException) -> str:
    """A library's exception as a few words for people."""
    match problem:
        case DeviceError():
            return str(problem)
        case TimeoutError() | adb_errors.AdbTimeoutError() | adb_errors.TcpTimeoutException():
            return "silence"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionError():
            return "connection lost"
        case OSError():
            return problem.strerror or type(problem).__name__
    return f"nonsense from the peer ({type(problem).__name__})"


def _check(output: bytearray) -> None:
    if len(output) > MAX_OUTPUT:
        raise ValueError("endless output")


def _text(raw: bytearray) -> str:
    return raw.decode("utf-8", "replace")
