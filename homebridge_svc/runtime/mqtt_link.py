"""The one MQTT connection of the daemon: kept up for ever, shared by all adapters and publishers (ports.Link).

Theory of operation. `run` opens one `Line` after the other, with a jittered back-off between them. MQTT 5 first, with a
stable client id, clean start off and a session expiry of 15 s, so that the broker keeps commands while we are briefly
away; a broker that does not take it gets 3.1.1 with a clean session in the same attempt. On every line: subscribe, say
`online`, call the `on_connect` callbacks; the last will says `offline`.

Nothing is published late: without a line `publish` fails at once, and a publish never outlives its line.

Age of a message (rule 6). Every 5 s, and at once on a new line, a probe goes to our own topic at QoS 1. The broker
delivers in order, so what follows a returned probe was queued after the probe had left. While the last returned probe
is young the line is live and messages are 0 s old. On a new line that resumed a session, before its first probe is
back, and after a stall (frozen Wi-Fi, a suspended process), a message may be as old as the time since the last packet
that came over a live line; right after the process began, as old as the session expiry, for then the broker drops the
queue. A probe that does not come back in time ends the line: half-open connections are found within 12 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import secrets
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiomqtt
from paho.mqtt.client import MQTTMessage
from paho.mqtt.matcher import MQTTMatcher

from homebridge_svc.errors import ConfigError, DeviceError, Unreachable
from homebridge_svc.ports import Clock, Handler, Message
from homebridge_svc.runtime.logs import OncePerKind
from homebridge_svc.runtime.mqtt_line import Account, Line, LineLostError, WrongVersionError
from homebridge_svc.runtime.retry import Backoff

log = logging.getLogger(__name__)

MAX_PAYLOAD = 256 * 1024  # bytes
SESSION_EXPIRY_S = 15  # rule 6
STABLE_S = 60.0  # real seconds after which a line counts as good and the back-off begins anew
PROBE_S = 5.0  # real seconds between probes
ECHO_S = 7.0  # real seconds for a probe to come back
FAREWELL_S = 1.0  # real seconds
LIVE_S = 8.0  # real seconds: younger than this the last returned probe proves a live line
SHOWN = 100  # characters of a topic in the log
_IDENTIFIERS = 268_435_455  # subscription identifiers are 1 … this


@dataclass(slots=True)
class _Subscription:
    topic_filter: str
    qos: int
    handlers: list[Handler] = field(default_factory=list)

    @property
    def identifier(self) -> int:
        """Stable over restarts: messages queued for a former run carry that run's identifiers."""
        return zlib.crc32(self.topic_filter.encode()) % _IDENTIFIERS + 1


class Freshness:
    """How old the next message may be at most, by the rules above. Real seconds decide, policy seconds are told."""

    def __init__(self, session_expiry: float) -> None:
        self._session_expiry = session_expiry
        self._proven = -math.inf  # real: everything from now on was queued after this
        self._heard: float | None = None  # policy: last packet over a live line

    def connected(self, session_present: bool, real: float) -> None:
        """A line came up; without a session nothing can be queued on it."""
        self._proven = -math.inf if session_present else real

    def returned(self, sent: float) -> None:
        """A probe that left at `sent` (real) is back; math.inf: this broker returns none, believe the line."""
        self._proven = max(self._proven, sent)

    def bound(self, real: float, mono: float) -> float:
        """Highest possible age in policy seconds of a message that arrives now."""
        if real - self._proven <= LIVE_S:
            self._heard = mono
            return 0.0
        return self._session_expiry if self._heard is None else mono - self._heard


class MqttLink:
    """Keeps the connection up while `run` runs. on_state(up, why) is called on changes only.

    begin_with_3_1_1: for the embedded broker, which never answers an MQTT 5 CONNECT.
    """

    def __init__(
        self,
        account: Account,
        clock: Clock,
        base_topic: str,
        on_state: Callable[[bool, str], None],
        *,
        begin_with_3_1_1: bool = False,
        session_expiry: int = SESSION_EXPIRY_S,
        backoff: Backoff | None = None,
    ) -> None:
        self._account = account
        self._clock = clock
        self._status_topic = f"{base_topic}/status"
        self._probe_topic = f"{base_topic}/link/{account.client_id}"
        self._on_state = on_state
        self._versions = [aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311][begin_with_3_1_1:]
        self._session_expiry = session_expiry
        self._backoff = backoff or Backoff()
        self._subscriptions: dict[str, _Subscription] = {}
        self._matcher = MQTTMatcher()  # type: ignore[no-untyped-call]
        self._callbacks: list[Callable[[], Awaitable[None]]] = []
        self._line: Line | None = None
        self._state: tuple[bool, str] | None = None
        self._freshness = Freshness(session_expiry)
        self._probe: tuple[bytes, float, asyncio.Future[None]] | None = None
        self._echoes = False  # this broker has returned a probe before
        self._oddity = OncePerKind(log)
        self.counts: Counter[str] = Counter()  # for /metrics
        self.subscribe(self._probe_topic, self._probe_returned, qos=1)

    def subscribe(self, topic_filter: str, handler: Handler, *, qos: int = 0) -> None:
        """Register before `run`; a filter registered twice is subscribed once, at the higher qos."""
        try:
            aiomqtt.Wildcard(topic_filter)
        except ValueError as exc:
            raise ConfigError("mqtt", f"{topic_filter!r} is not a topic filter: {exc}") from None
        if topic_filter not in self._subscriptions:
            self._matcher[topic_filter] = self._subscriptions[topic_filter] = _Subscription(topic_filter, qos)
        subscription = self._subscriptions[topic_filter]
        subscription.qos = max(subscription.qos, qos)
        subscription.handlers.append(handler)

    def on_connect(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Called after every (re)connect, when subscriptions stand."""
        self._callbacks.append(callback)

    async def publish(self, topic: str, payload: str | bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Publish within 2 s. Raises Unreachable when the broker is away, OutcomeUnknown when QoS 1 got no ack."""
        if self._line is None:
            raise Unreachable("the MQTT broker is away")
        await self._line.publish(topic, payload, qos, retain)

    async def run(self) -> None:
        """Keep the connection up until cancelled; then say `offline`, within 2 s."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._attempt()
            except LineLostError as exc:
                self._tell(False, str(exc))
            if loop.time() - began >= STABLE_S:
                self._backoff.reset()
            await asyncio.sleep(next(self._backoff))

    async def _attempt(self) -> None:
        """Connect in the best version that the broker takes, and stay. Raises LineLostError at the end."""
        problem: LineLostError | None = None
        for version in self._versions:
            line = self._new_line(version)
            try:
                await line.open()
            except WrongVersionError as exc:
                problem = exc
                continue
            if version == aiomqtt.ProtocolVersion.V5:  # a later hang-up is no old broker; 3.1.1 would drop the queue
                self._versions = [version]
            try:
                await self._live(line)
            except asyncio.CancelledError:
                with contextlib.suppress(DeviceError, TimeoutError):
                    async with asyncio.timeout(FAREWELL_S):
                        await line.publish(self._status_topic, "offline", 1, True)
                raise
            finally:
                self._line = None
                await line.close()
        if problem is not None:
            raise problem

    def _new_line(self, version: aiomqtt.ProtocolVersion) -> Line:
        return Line(
            self._account,
            version=version,
            will=aiomqtt.Will(self._status_topic, "offline", qos=1, retain=True),
            session_expiry=self._session_expiry,
            connected=self._connected,
            received=self._received,
        )

    def _connected(self, session_present: bool) -> None:
        self._probe = None  # the former line's, should the broker send it again, proves nothing about this one
        now = asyncio.get_running_loop().time()
        self._freshness.connected(session_present, now)
        self._freshness.bound(now, self._clock.now().mono)  # the CONNACK of a new session came over a live line

    async def _live(self, line: Line) -> None:
        """From CONNACK to the end of the line. Raises LineLostError."""
        self._line = line  # orders may leave at once: what comes with the subscriptions may already call for an OFF
        subscriptions = list(self._subscriptions.values())
        refusals = await asyncio.gather(*(line.subscribe(s.topic_filter, s.qos, s.identifier) for s in subscriptions))
        for subscription, refusal in zip(subscriptions, refusals, strict=True):
            if refusal:
                topic_filter = subscription.topic_filter
                self._oddity(f"refused {topic_filter}", "MQTT: the broker refuses %s: %s", topic_filter, refusal)
        try:
            await line.publish(self._status_topic, "online", 1, True)
        except DeviceError as exc:
            raise LineLostError(str(exc)) from None
        self._tell(True, "")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(line.watch(), name="mqtt watch")
                group.create_task(self._keep_probing(line), name="mqtt probe")
                group.create_task(self._greet(), name="mqtt greet")
        except ExceptionGroup as failures:
            lost, bugs = failures.split(LineLostError)
            if bugs is not None or lost is None:
                raise
            raise LineLostError(str(lost.exceptions[0])) from None

    async def _greet(self) -> None:
        for callback in self._callbacks:
            try:
                await callback()
            except DeviceError as exc:
                log.info("MQTT: after the connect: %s", exc)
            except Exception:
                log.exception("MQTT: %r failed after the connect", callback)

    async def _keep_probing(self, line: Line) -> None:
        """Send probes as long as the line lives. Raises LineLostError when one does not come back."""
        loop = asyncio.get_running_loop()
        token = secrets.token_hex(4)
        for number in itertools.count():
            back: asyncio.Future[None] = loop.create_future()
            payload = f"{token}-{number}".encode()
            self._probe = (payload, loop.time(), back)
            try:
                async with asyncio.timeout(ECHO_S):
                    with contextlib.suppress(DeviceError):  # what counts is whether it comes back
                        await line.publish(self._probe_topic, payload, 1, False)
                    await back
            except TimeoutError:
                if self._echoes:
                    raise LineLostError(f"the broker has not answered for {ECHO_S:g} s") from None
                self._oddity("probe", "MQTT: %s does not come back: allow it in the broker's ACL", self._probe_topic)
                self._freshness.returned(math.inf)
                return
            self._echoes = True
            await asyncio.sleep(PROBE_S)

    def _probe_returned(self, message: Message) -> None:
        if self._probe is None or message.payload != self._probe[0]:
            return
        _, sent, back = self._probe
        self._freshness.returned(sent)
        self._freshness.bound(asyncio.get_running_loop().time(), self._clock.now().mono)
        if not back.done():
            back.set_result(None)

    def _received(self, raw: MQTTMessage) -> None:
        """Hand a message to the handlers of the filters it came for; nothing escapes from here."""
        age = self._freshness.bound(asyncio.get_running_loop().time(), self._clock.now().mono)
        self.counts["received"] += 1
        try:
            topic = raw.topic
        except UnicodeDecodeError:
            self.counts["unreadable"] += 1
            self._oddity("unreadable topic", "MQTT: a topic that is not UTF-8; dropped")
            return
        if len(raw.payload) > MAX_PAYLOAD:
            self.counts["oversized"] += 1
            shown = topic[:SHOWN]
            self._oddity(f"oversized {shown}", "MQTT: %d bytes on %s; dropped", len(raw.payload), shown)
            return
        message = Message(topic, bytes(raw.payload), raw.retain, raw.qos, raw.mid, raw.dup, age)
        identifiers = getattr(raw.properties, "SubscriptionIdentifier", None)  # MQTT 5 sends a copy per filter
        for subscription in self._matcher.iter_match(topic):  # type: ignore[no-untyped-call]
            if identifiers is None or subscription.identifier in identifiers:
                self._hand_over(message, subscription)

    def _hand_over(self, message: Message, subscription: _Subscription) -> None:
        for handler in subscription.handlers:
            try:
                handler(message)
            except Exception:  # noqa: BLE001  a bug in one adapter must not take the line from all others
                self.counts["handler_errors"] += 1
                shown = subscription.topic_filter
                self._oddity(f"handler {shown}", "MQTT: handler of %s failed", shown, exc_info=True)

    def _tell(self, up: bool, why: str) -> None:
        """Log and report a change of state; a retry that fails in the same way is none."""
        if (up, why) == self._state:
            return
        self._state = (up, why)
        address = f"{self._account.host}:{self._account.port}"
        if up:
            self.counts["connects"] += 1
            log.info("MQTT: connected to %s", address)
        else:
            log.warning("MQTT: no connection to %s: %s", address, why)
        self._on_state(up, why)
