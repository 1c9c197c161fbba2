"""One MQTT connection over aiomqtt, used once, with the three facts that aiomqtt keeps to itself.

aiomqtt drops a message's DUP flag and the CONNACK's "session present", and waits its whole timeout when the broker
hangs up before the CONNACK. paho, which it drives, tells all three by public callbacks; `_client`, aiomqtt's paho
client, is the only private name used here, and tests/wire/test_mqtt_link.py pins it.

A line is never re-used: paho sends unacknowledged publishes again after a reconnect of the same client object, which
would be late orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from homebridge_svc.errors import OutcomeUnknown, Unreachable

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

KEEPALIVE_S = 10
ANSWER_S = 5.0  # real seconds for CONNACK, SUBACK
PUBLISH_S = 2.0  # real seconds for one publish, its acknowledgement included
CLOSE_S = 1.0
PUBACK_S = 0.002  # real seconds: what a command leads to leaves first; should we die before, the broker sends it again
AT_ONCE = 16  # publishes under way: below every broker's receive maximum (mosquitto: 20), so paho holds none back
UNACKED_MS = (
    6_000  # the kernel gives the line up, and drops what it still holds, when bytes stay unacknowledged so long
)
MAX_PACKET = 1 << 20  # bytes; an MQTT 5 broker keeps bigger packets to itself
RECEIVE_MAXIMUM = 100  # QoS 1 messages under way to us
_WRONG_VERSION = {1, 129, 130, 132}  # 3.1.1: unacceptable version; 5: malformed, protocol error, unsupported version
_WRONG_LOGIN = {4, 5, 134, 135}


class LineLostError(Exception):
    """The connection did not come about or has ended; the text says why."""


class WrongVersionError(LineLostError):
    """The broker may not speak this version of MQTT: it refused it, hung up or stayed silent."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where the broker is and who we are. client_id is stable: the broker keeps our queue under it."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class Line:
    """One connection; `connected(session_present)` and `received(message)` are called on the loop, from CONNACK on."""

    def __init__(
        self,
        account: Account,
        *,
        version: aiomqtt.ProtocolVersion,
        will: aiomqtt.Will,
        session_expiry: int,
        connected: Callable[[bool], None],
        received: Callable[[MQTTMessage], None],
    ) -> None:
        v5 = version == aiomqtt.ProtocolVersion.V5
        self._client = aiomqtt.Client(
            account.host,
            account.port,
            identifier=account.client_id,
            username=account.username,
            password=account.password,
            tls_context=account.tls,
            protocol=version,
            clean_session=None if v5 else True,
            clean_start=False if v5 else MQTT_CLEAN_START_FIRST_ONLY,  # paho wants this constant below MQTT 5
            properties=_connect_properties(session_expiry) if v5 else None,
            will=will,
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_S,
            max_inflight_messages=0,  # none held back: see AT_ONCE
            socket_options=[
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_MS),
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # else an order waits 40 ms behind the command's PUBACK
            ],
        )
        self._client.pending_calls_threshold = 1_000  # subscriptions go out all at once
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._connected = connected
        self._answered = False
        self._hung_up = asyncio.Event()
        self._identifiers = v5
        paho = self._paho = self._client._client  # noqa: SLF001  see above
        self._aiomqtt_connected: Callable[..., object] | None = paho.on_connect
        self._aiomqtt_disconnected: Callable[..., object] | None = paho.on_disconnect
        paho.on_connect, paho.on_disconnect = self._on_connect, self._on_disconnect
        self._unacknowledged: dict[int, asyncio.Future[None]] = {}  # packet id -> who waits
        self._received = received
        paho.on_message, paho.on_publish = self._on_message, self._on_publish
        paho.manual_ack_set(True)  # see PUBACK_S

    async def open(self) -> None:
        """Connect. Raises LineLostError, WrongVersionError."""
        entering = asyncio.create_task(self._client.__aenter__(), name="mqtt connect")
        hung_up = asyncio.create_task(self._hung_up.wait(), name="mqtt hung up")
        try:
            await asyncio.wait({entering, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            if not entering.done():
                raise WrongVersionError("the broker hangs up without an answer")
            await entering
            self._paho.on_socket_register_write = self._write_when_possible
        except aiomqtt.MqttCodeError as exc:
            raise _refusal(exc.rc) from None
        except UnicodeError as exc:  # a host name that cannot be one
            raise LineLostError(f"no broker: {exc}") from None
        except aiomqtt.MqttError as exc:
            if self._paho.socket() is None:
                raise LineLostError(f"no broker: {exc}") from None
            self._abandon()
            raise WrongVersionError("the broker does not answer") from None
        except asyncio.CancelledError:
            self._abandon()
            raise
        finally:
            entering.cancel()
            hung_up.cancel()

    async def subscribe(self, topic_filter: str, qos: int, identifier: int) -> str:
        """Subscribe; MQTT 5 messages will carry `identifier`. Returns why not, or "". Raises LineLostError."""
        properties = None
        if self._identifiers:
            properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
            properties.SubscriptionIdentifier = identifier
        try:
            codes = await self._client.subscribe(topic_filter, qos, properties=properties)
        except aiomqtt.MqttError as exc:
            raise LineLostError(f"the broker did not take our subscriptions: {exc}") from None
        return "".join(str(code) for code in codes if isinstance(code, ReasonCode) and code.is_failure)

    async def publish(self, topic: str, payload: str | bytes, qos: int, retain: bool) -> None:
        """Publish within 2 s. Raises Unreachable when it certainly did not leave, OutcomeUnknown."""
        leaving = False
        try:
            async with asyncio.timeout(PUBLISH_S), self._slots:
                leaving = True
                await self._publish(topic, payload, qos, retain)
        except TimeoutError:
            if not leaving:
                raise Unreachable(f"the line to the broker is jammed, {topic} did not leave") from None
            raise OutcomeUnknown(f"the broker did not acknowledge {topic} within {PUBLISH_S:g} s") from None

    async def _publish(self, topic: str, payload: str | bytes, qos: int, retain: bool) -> None:
        """Write at once, where aiomqtt would let the loop turn twice before, and wait for the acknowledgement."""
        sent = self._paho.publish(topic, payload, qos, retain)
        if sent.rc == MQTTErrorCode.MQTT_ERR_NO_CONN:
            raise Unreachable("the MQTT broker is away")
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise OutcomeUnknown(f"the line broke while {topic} left: {sent.rc.name}")
        acknowledged = self._unacknowledged[sent.mid] = asyncio.get_running_loop().create_future()
        try:
            self._paho.loop_write()
            await acknowledged
        except LineLostError as exc:
            raise OutcomeUnknown(f"the line broke while {topic} left: {exc}") from None
        finally:
            del self._unacknowledged[sent.mid]

    async def watch(self) -> None:
        """Return never. Raises LineLostError when the line is lost."""
        try:
            async for _ in self._client.messages:  # stays empty: messages go to `received`
                pass
        except aiomqtt.MqttError as exc:
            raise LineLostError(f"the line broke: {exc.__cause__ or exc}") from None

    async def close(self) -> None:
        """Say goodbye, so that the broker keeps the last will to itself; bounded by 1 s."""
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._client.__aexit__(None, None, None)
        self._hang_up()

    def _abandon(self) -> None:
        """Leave a connection that is only half there; should it come about in the connecting thread, hang up."""
        self._paho.on_connect = lambda client, *_: client.disconnect()
        self._paho.on_disconnect = None
        self._paho.disconnect()
        self._hang_up()

    def _hang_up(self) -> None:
        """Shut a socket that still stands, so that nothing which paho still holds leaves late; its reader cleans up."""
        sock = self._paho.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _on_connect(
        self,
        client: PahoClient,
        userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._answered = True
        self._identifiers &= getattr(properties, "SubscriptionIdentifierAvailable", 1) == 1
        if not reason.is_failure:
            self._connected(flags.session_present)
        if self._aiomqtt_connected is not None:
            self._aiomqtt_connected(client, userdata, flags, reason, properties)

    def _on_message(self, _client: PahoClient, _userdata: object, message: MQTTMessage) -> None:
        self._received(message)
        if message.qos:
            asyncio.get_running_loop().call_later(PUBACK_S, self._paho.ack, message.mid, message.qos)
        else:
            self._acknowledge()

    def _on_publish(self, _client: PahoClient, _userdata: object, number: int, *_: object) -> None:
        waiting = self._unacknowledged.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        self._acknowledge()

    def _write_when_possible(self, client: PahoClient, _userdata: object, sock: SocketLike) -> None:
        """Stands in for aiomqtt's, which asks the loop a turn later, from when paho still connects in a thread."""
        with contextlib.suppress(OSError, ValueError):  # the socket may be gone already: its reader finds out
            asyncio.get_running_loop().add_writer(sock.fileno(), client.loop_write)

    def _acknowledge(self) -> None:
        """Let the kernel acknowledge at once: until then a broker's Nagle holds its next message back, up to 40 ms."""
        sock = self._paho.socket()
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _on_disconnect(
        self,
        client: PahoClient,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if not self._answered:
            self._hung_up.set()
        for waiting in self._unacknowledged.values():
            if not waiting.done():
                waiting.set_exception(LineLostError(str(reason)))
        if self._aiomqtt_disconnected is not None:
            self._aiomqtt_disconnected(client, userdata, flags, reason, properties)


def _connect_properties(session_expiry: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_expiry
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = MAX_PACKET
    return properties


def _refusal(code: int | ReasonCode | None) -> LineLostError:
    number = code.value if isinstance(code, ReasonCode) else code
    if number in _WRONG_LOGIN:
        return LineLostError("the broker refuses our user name or password")
    if number in _WRONG_VERSION:
        return WrongVersionError(f"the broker refuses this version of MQTT ({code})")
    return LineLostError(f"the broker refuses us: {code}")
