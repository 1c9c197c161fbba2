r"""An ADB daemon over TCP in front of the fake Android, with what goes wrong between the two.

It speaks the classic transport with RSA authorisation: a connection gets a 20-byte token, the client signs it, and a
key nobody knows yet is shown on the screen, where a person accepts or refuses it. `shell:` runs through a terminal
(`\r\n`, no exit status), `exec:` without one; every stream sends one packet and waits for its OKAY.

What goes wrong is set from outside while it runs. A machine that sleeps without network, and a daemon that is
`frozen`, leave what was sent to them in the socket and carry it out when they come back: late. A machine that booted
since knows nothing of older connections and resets them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from homebridge_svc.errors import WireError
from homebridge_svc.virtual_home.android import Android
from homebridge_svc.virtual_home.faults import Faults
from homebridge_svc.wire import adb
from homebridge_svc.wire.adb import Command, Packet, PublicKey

log = logging.getLogger(__name__)
CHUNK = 4096  # bytes in one WRTE, what the oldest clients take
TAKES = 1 << 18  # bytes in one packet that it takes itself
GLANCE = 0.02  # real seconds between two looks at whether the network is back


@dataclass(eq=False, slots=True)
class _Stream:
    """One service: our id, the client's id, and whether the client took our last packet."""

    local: int
    remote: int
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False


class Adbd:
    """The daemon at host:port (0: any; `port` tells which after the start).

    keys: the clients it trusts; accept_new_keys: what the person at the screen does with a new one (None: nobody is
    there, the question stays open). asleep: what a sleeping machine's network does with new connections.
    opened: (policy time, service) of every stream; connections: how many were accepted.
    hang_up: new connections are closed at once. frozen: nothing is read until `thaw()`.
    """

    def __init__(
        self,
        android: Android,
        host: str = "127.0.0.1",
        port: int = 5555,
        *,
        faults: Faults | None = None,
        accept_new_keys: bool | None = True,
        asleep: Literal["half_open", "refused"] = "half_open",
    ) -> None:
        self.android = android
        self.host = host
        self.port = port
        self.faults = faults or Faults()
        self.accept_new_keys = accept_new_keys
        self.asleep = asleep
        self.keys: list[PublicKey] = []
        self.opened: list[tuple[float, str]] = []
        self.connections = 0
        self.hang_up = False
        self._awake = asyncio.Event()
        self._awake.set()
        self._server: asyncio.Server | None = None
        self._lines: dict[_Line, asyncio.Task[None]] = {}
        self._shells: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and drop everybody."""
        await self.stop()

    async def run(self) -> None:
        """Serve until cancelled."""
        async with self:
            await asyncio.Event().wait()

    async def stop(self) -> None:
        """Close the port (connections are refused from now on) and drop everybody."""
        if self._server is not None:
            self._server.close()
        self.drop(reset=True)
        tasks = [*self._lines.values(), *self._shells]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def drop(self, *, reset: bool = False) -> None:
        """Close every connection: cleanly (the client reads EOF) or with a reset."""
        for line in list(self._lines):
            line.drop(reset=reset)

    def start(self, shell: Coroutine[None, None, None], name: str) -> None:
        """Run a shell; it outlives its connection, as a command that has begun does."""
        task = asyncio.create_task(shell, name=name)
        self._shells.add(task)
        task.add_done_callback(self._shells.discard)

    @property
    def frozen(self) -> bool:
        """The daemon is stopped; the kernel goes on taking bytes for it."""
        return not self._awake.is_set()

    def freeze(self) -> None:
        """Stop reading and answering."""
        self._awake.clear()

    def thaw(self) -> None:
        """Go on, beginning with what has piled up."""
        self._awake.set()

    async def hears(self, packet: Packet, born: float, reader: asyncio.StreamReader) -> bool:
        """Wait until the machine hears a packet on a connection made at policy time `born`; False: it never will.

        A machine that falls asleep finishes what it is doing first: its network does not go down at once.
        """
        body = self.android.body
        running = packet.command in (Command.OKAY, Command.CLSE)
        while True:
            await self._awake.wait()
            if not (self.faults.half_open or self.faults.dead) and (running or body.listening):
                return running or body.booted_at <= born
            if reader.at_eof():
                return False
            await asyncio.sleep(GLANCE)

    async def says(self, raw: bytes) -> bytes:
        """What of an answer reaches the network, and when."""
        await self._awake.wait()
        arrives = [] if self.faults.half_open else self.faults.through(raw)
        if not arrives:
            return b""
        delay, raw = arrives[0]  # TCP delivers once and in order: of the faults, delay and garble apply
        if delay:
            await asyncio.sleep(delay)
        return raw

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        line = _Line(self, reader, writer, born=self.android.body.mono())
        refused = self.faults.refuse or (self.asleep == "refused" and not self.android.body.listening)
        if refused or self.hang_up:
            line.drop(reset=refused)
            return
        task = self._lines[line] = asyncio.create_task(line.serve(), name=f"adbd connection {self.connections}")
        task.add_done_callback(lambda _: self._lines.pop(line, None))


class _Line:
    """One connection."""

    def __init__(
        self, daemon: Adbd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, born: float
    ) -> None:
        self._daemon = daemon
        self._reader = reader
        self._writer = writer
        self._born = born
        self._token = b""
        self._trusted = False
        self._streams: dict[int, _Stream] = {}
        self._next_id = 0

    def drop(self, *, reset: bool) -> None:
        """End it from our side."""
        if reset:
            self._writer.transport.abort()
        else:
            self._writer.close()

    async def serve(self) -> None:
        """Hear the client until either side ends; nothing it sends can raise."""
        try:
            while True:
                packet = await self._receive()
                if not await self._daemon.hears(packet, self._born, self._reader):
                    self.drop(reset=True)
                    return
                await self._handle(packet)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        except WireError as problem:
            log.info("adbd %s: %s", self._daemon.host, problem)
        finally:
            for stream in self._streams.values():
                stream.closed = True
                stream.taken.set()
            self.drop(reset=False)

    async def _receive(self) -> Packet:
        header = adb.decode_header(await self._reader.readexactly(adb.HEADER_SIZE))
        return adb.decode_data(header, await self._reader.readexactly(header.length))

    async def _send(self, command: Command, arg0: int, arg1: int, data: bytes = b"") -> None:
        self._writer.write(await self._daemon.says(adb.encode(Packet(command, arg0, arg1, data))))
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def _handle(self, packet: Packet) -> None:
        match packet.command:
            case Command.CNXN:
                self._streams.clear()
                await (self._welcome() if self._trusted else self._challenge())
            case Command.AUTH:
                await self._authorise(packet)
            case Command.OPEN if self._trusted:
                await self._open(packet)
            case Command.OKAY | Command.WRTE | Command.CLSE if stream := self._streams.get(packet.arg1):
                await self._stream(stream, packet)
            case _:
                log.debug("adbd %s: %s out of turn", self._daemon.host, packet.command.name)

    async def _stream(self, stream: _Stream, packet: Packet) -> None:
        if packet.command is Command.WRTE:  # nobody reads what is typed
            await self._send(Command.OKAY, stream.local, stream.remote)
            return
        stream.closed = stream.closed or packet.command is Command.CLSE
        stream.taken.set()
        if stream.closed:
            self._streams.pop(stream.local, None)

    async def _challenge(self) -> None:
        self._token = secrets.token_bytes(adb.TOKEN_SIZE)
        await self._send(Command.AUTH, adb.AUTH_TOKEN, 0, self._token)

    async def _welcome(self) -> None:
        self._trusted = True
        android = self._daemon.android
        banner = f"device::ro.product.name=guava;ro.product.model={android.model};ro.product.device=guava;features=cmd"
        await self._send(Command.CNXN, adb.VERSION, TAKES, banner.encode())

    async def _authorise(self, packet: Packet) -> None:
        if packet.arg0 == adb.AUTH_SIGNATURE:
            known = self._token and any(_signed(key, self._token, packet.data) for key in self._daemon.keys)
            await (self._welcome() if known else self._challenge())
        elif packet.arg0 == adb.AUTH_PUBLIC_KEY:
            key = adb.decode_public_key(packet.data)
            answer = self._daemon.accept_new_keys
            while answer is None:
                await asyncio.sleep(GLANCE)
                if self._reader.at_eof():
                    return
                answer = self._daemon.accept_new_keys
            if answer:
                self._daemon.keys.append(key)
                await self._welcome()
            else:
                self.drop(reset=False)

    async def _open(self, packet: Packet) -> None:
        service = packet.data.rstrip(b"\0").decode("utf-8", "replace")
        self._daemon.opened.append((self._daemon.android.body.mono(), service))
        name, _, line = service.partition(":")
        if name not in ("shell", "exec") or not line:
            await self._send(Command.CLSE, 0, packet.arg0)
            return
        self._next_id += 1
        stream = self._streams[self._next_id] = _Stream(self._next_id, packet.arg0)
        await self._send(Command.OKAY, stream.local, stream.remote)
        self._daemon.start(self._run(stream, line, terminal=name == "shell"), f"adbd shell {stream.local}")

    async def _run(self, stream: _Stream, line: str, *, terminal: bool) -> None:
        """Run a line. Its output is queued: a client that has gone does not stop a command that has begun."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        pump = asyncio.create_task(self._pump(stream, queue, terminal=terminal), name=f"adbd pump {stream.local}")
        try:
            await self._daemon.android.run(line, queue.put)
            await queue.put(None)
            await pump
        finally:
            pump.cancel()

    async def _pump(self, stream: _Stream, queue: asyncio.Queue[str | None], *, terminal: bool) -> None:
        while (text := await queue.get()) is not None:
            raw = (text.replace("\n", "\r\n") if terminal else text).encode()
            for start in range(0, len(raw), CHUNK):
                stream.taken.clear()
                await self._send(Command.WRTE, stream.local, stream.remote, raw[start : start + CHUNK])
                await stream.taken.wait()
                if stream.closed:
                    return
        await self._send(Command.CLSE, stream.local, stream.remote)


def _signed(key: PublicKey, token: bytes, signature: bytes) -> bool:
    """The signature is the key's over the token, which stands for a SHA-1 digest."""
    try:
        public = rsa.RSAPublicNumbers(key.exponent, key.modulus).public_key()
        public.verify(signature, token, padding.PKCS1v15(), utils.Prehashed(hashes.SHA1()))  # noqa: S303  the protocol's
    except (InvalidSignature, ValueError):
        return False
    return True
