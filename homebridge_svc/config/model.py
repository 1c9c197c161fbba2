"""The owner's file as a whole: `Config`. Every key has a default unless leaving it out would be a guess.

What a single value must look like stands here; what must fit together stands in cross.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Literal
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SerializeAsAny, StrictBool

from homebridge_svc.config.devices import Heater, Projector, Pump
from homebridge_svc.config.problems import quoted, wrong
from homebridge_svc.config.secrets import Secret
from homebridge_svc.config.table import Key, Name, Table, driven
from homebridge_svc.config.topics import Topic
from homebridge_svc.config.units import SECONDS, ConfigFile, Seconds, between

MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}
EMBEDDED = "embedded:"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.?")


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, a path, a directory of zones
        by_city = {zone.rpartition("/")[2].casefold(): zone for zone in available_timezones()}
        city = name.rpartition("/")[2].replace(" ", "_").casefold()
        close = get_close_matches(city, by_city, n=1)
        meant = by_city[close[0]] if close and city != "beijing" else "Asia/Shanghai"
        raise wrong(
            f"{quoted(name)} is not a time zone", f'did you mean "{meant}"?', f'时区写成例如 "{meant}"'
        ) from None
    return name


def _version(value: object) -> object:
    if value != 1 or isinstance(value, bool):
        raise wrong("this program reads version 1", "write version = 1; a newer file needs a newer program")
    return value


def _split(text: str, what: str, hint: str) -> SplitResult:
    """Take an address apart; host and port are plausible afterwards. Never quotes it: it may hold a password."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong(f"is not {what}", hint) from None
    host = parts.hostname or ""
    if not (_is_address(host) or (_HOST.fullmatch(host) and len(host) <= 253)) or port == 0:  # noqa: PLR2004  RFC 1035
        raise wrong(f"is not {what}", hint)
    return parts


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _url(text: str) -> str:
    hint = (
        'like "mqtt://homebridge@192.168.1.10:1883", "mqtts://…", or "embedded:" (with another port: "embedded:1884")'
    )
    if re.fullmatch(rf"{EMBEDDED}(?:[1-9][0-9]{{0,4}})?", text) and int(text[len(EMBEDDED) :] or 1) <= 65_535:  # noqa: PLR2004
        return text
    parts = _split(text, "an MQTT address", hint)
    if parts.scheme not in MQTT_PORTS or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise wrong("is not an MQTT address", hint)
    if parts.password is not None:
        raise wrong(
            "the password does not belong into the address",
            'take it out, and add password = { file = "mqtt_password" }',
            '密码不要写在地址里，另写 password = { file = "mqtt_password" }',
        )
    return text


def _listen(text: str) -> str:
    hint = 'address and port, like "127.0.0.1:8377", "0.0.0.0:8377" or "[::1]:8377"'
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:  # noqa: PLR2004  ports have 16 bits
        raise wrong(f"{quoted(text)} is not an address to listen on", hint)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not (host == "localhost" or (_is_address(bare) and (":" in bare) == (bare != host))):
        raise wrong(f"{quoted(text)} is not an address to listen on", hint)
    return text


def _host_name(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise wrong(f"{quoted(text)} is not a host name", 'like "pi.local", without port')
    return text


class Mqtt(Table):
    """`[mqtt]`: the one broker."""

    url: Annotated[str, AfterValidator(_url), Field(description='like "mqtt://homebridge@192.168.1.10:1883"')]
    password: Secret | None = None
    ca: ConfigFile | None = None
    base_topic: Topic = "homebridge_svc"

    @property
    def embedded(self) -> bool:
        """The broker runs inside, on loopback."""
        return self.url.startswith(EMBEDDED)

    @property
    def host(self) -> str:
        """Where the broker is."""
        return "127.0.0.1" if self.embedded else urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the address, or its scheme's usual one."""
        if self.embedded:
            return int(self.url[len(EMBEDDED) :] or MQTT_PORTS["mqtt"])
        parts = urlsplit(self.url)
        return parts.port or MQTT_PORTS.get(parts.scheme, MQTT_PORTS["mqtt"])

    @property
    def username(self) -> str | None:
        """The user of the address; %40 and the like are decoded."""
        user = None if self.embedded else urlsplit(self.url).username
        return None if user is None else unquote(user)

    @property
    def tls(self) -> bool:
        """Whether the line is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"


class HomeAssistant(Table):
    """`[home_assistant]`: what it discovers by itself."""

    discovery: StrictBool = True
    discovery_prefix: Topic = "homeassistant"
    language: Literal["zh", "en"] = "zh"


class Web(Table):
    """`[web]`: the page and the API. names: further names by which browsers reach this machine."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8377"
    token: Secret | None = None
    names: tuple[Annotated[str, AfterValidator(_host_name)], ...] = ()

    @property
    def host(self) -> str:
        """The address to bind, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to bind; 0: any free one."""
        return int(self.listen.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        """Nobody beyond this machine can reach it."""
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback


class VoiceTable(Table):
    """What every `[[voice]]` has besides its driver's options."""

    driver: str
    phrases: dict[str, list[str]] = Field(default_factory=dict)


class PlugTable(Table):
    """What every `[plugs.X]` has besides its driver's options."""

    driver: str
    name: Name | None = None


class BlasterTable(Table):
    """What every `[blasters.X]` has besides its driver's options."""

    driver: str


class SensorTable(Table):
    """What every `[sensors.X]` has besides its driver's options. stale_after: how long a reading counts."""

    driver: str
    name: Name | None = None
    stale_after: Annotated[Seconds, between(SECONDS, 10, 3_600)] = 60.0


class Config(Table):
    """The file. A driver's table is an instance of that driver's Options as well."""

    version: Annotated[Literal[1], BeforeValidator(_version), Field(description="write version = 1")]
    timezone: Annotated[str, AfterValidator(_timezone), Field(description='like timezone = "Asia/Shanghai"')]
    clock: Literal["auto", "trusted"] = "auto"
    mqtt: Mqtt | None = None
    home_assistant: HomeAssistant = HomeAssistant()
    web: Web = Web()
    voice: list[Annotated[SerializeAsAny[VoiceTable], driven("voice", VoiceTable)]] = Field(default_factory=list)
    plugs: dict[Key, Annotated[SerializeAsAny[PlugTable], driven("plug", PlugTable)]] = Field(default_factory=dict)
    blasters: dict[Key, Annotated[SerializeAsAny[BlasterTable], driven("blaster", BlasterTable)]] = Field(
        default_factory=dict
    )
    sensors: dict[Key, Annotated[SerializeAsAny[SensorTable], driven("sensor", SensorTable)]] = Field(
        default_factory=dict
    )
    projectors: dict[Key, Projector] = Field(default_factory=dict)
    heaters: dict[Key, Heater] = Field(default_factory=dict)
    pumps: dict[Key, Pump] = Field(default_factory=dict)

    @property
    def phrases(self) -> dict[str, tuple[str, ...]]:
        """All phrases with their commands, whichever voice they were written beside."""
        return {phrase: tuple(commands) for voice in self.voice for phrase, commands in voice.phrases.items()}

    def tables(self) -> dict[str, Mapping[str, BaseModel]]:
        """Section -> key -> table, of everything that has a key (rule 22)."""
        return {section: getattr(self, section) for section in KEYED}


KEYED = ("plugs", "blasters", "sensors", "projectors", "heaters", "pumps")
