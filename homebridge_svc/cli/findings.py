"""What `doctor` says: a finding per thing, and the advice that belongs to each known complaint, in both languages.

Adapters tell why something is away in a sentence; the tables here know those sentences by a few words of theirs. What
no table knows gets the general advice of its kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from homebridge_svc.runtime.redact import Redactor


class Verdict(StrEnum):
    """How a thing is. NOTE: nothing is broken, but somebody should know; only BAD makes the exit code 1."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Advice:
    """How to mend it."""

    en: str = ""
    zh: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: which thing, how it is, in words, and how to mend it."""

    thing: str  # as the file has it: "plugs.cinema_plug"
    verdict: Verdict
    en: str
    zh: str
    advice: Advice = Advice()

    def hidden(self, redactor: Redactor) -> Finding:
        """Give it without secrets."""
        advice = Advice(redactor.text(self.advice.en), redactor.text(self.advice.zh))
        return replace(self, en=redactor.text(self.en), zh=redactor.text(self.zh), advice=advice)


def ok(thing: str, en: str, zh: str) -> Finding:
    """It is as it should be."""
    return Finding(thing, Verdict.OK, en, zh)


def note(thing: str, en: str, zh: str, advice: Advice = Advice()) -> Finding:
    """Somebody should know."""
    return Finding(thing, Verdict.NOTE, en, zh, advice)


def bad(thing: str, en: str, zh: str, advice: Advice) -> Finding:
    """It fails."""
    return Finding(thing, Verdict.BAD, en, zh, advice)


PAIR: Final = Advice(
    "switch the projector on, then: homebridge-svc pair adb {host} -c {file}   and accept on its screen",
    "打开投影仪，执行：homebridge-svc pair adb {host} -c {file}，并在投影画面上点允许",
)
NO_TIME: Final = Advice(
    'timedatectl set-ntp true; without systemd-timesyncd (chrony, a hardware clock): clock = "trusted"',
    '执行 timedatectl set-ntp true；如果用 chrony 或硬件时钟，就在配置里写 clock = "trusted"',
)
NO_TIMER: Final = Advice(
    "use a plug with a timer of its own (zigbee2mqtt, Tasmota, Shelly, many Mi plugs), or accept that nothing ends a "
    "run when this machine dies: unattended_without_dead_man = true",
    "换成自带定时关闭的插座（Zigbee、Tasmota、Shelly、多数米家插座），"
    "或者自担风险写 unattended_without_dead_man = true",
)
NOT_PROVEN: Final = Advice(
    "until it is proven on the real plug, only unattended_without_dead_man = true lets scheduled runs start",
    "在真实插座上验证之前，只有写 unattended_without_dead_man = true 才会定时启动",
)
NO_WATTS: Final = Advice(
    "Tasmota: TelePeriod 10 and PowerDelta 5; zigbee2mqtt: reporting of power; a plug without a meter: meters = false",
    "Tasmota：设 TelePeriod 10 和 PowerDelta 5；zigbee2mqtt：打开功率上报；没有计量的插座写 meters = false",
)
WRONG_SCALE: Final = Advice(
    "compare with the plug's own app; then set watts_scale (MQTT) or watts = { siid, piid, scale } (miIO)",
    "和插座自己的 App 对比，然后设 watts_scale（MQTT）或 watts = { siid, piid, scale }（米家）",
)

_ROUTER: Final = Advice(
    "is it plugged in, and is host its address? Give it a fixed one in the router; no guest network, no AP isolation",
    "插座通电了吗？host 是它的地址吗？请在路由器里固定地址；不要用访客网络或 AP 隔离",
)
_TOPIC: Final = Advice(
    "is topic its name, and does it speak? mosquitto_sub -v -t '#' shows what is said; the broker's ACL must allow it",
    "topic 写对了吗？用 mosquitto_sub -v -t '#' 看它有没有消息；再检查 broker 的 ACL 是否允许",
)
_NO_MAINS: Final = Advice(
    "has it mains, and does its radio reach? Its publisher (zigbee2mqtt, its own last will) says that it is gone",
    "它通电了吗？信号够吗？发布者（zigbee2mqtt 或设备遗言）说它已离线",
)
_NEW_TOKEN: Final = Advice(
    "a plug gets a new token whenever it is added to Mi Home again: read it anew and write it into its file",
    "插座每次重新加入米家都会换 token：请重新获取并写进对应文件",
)
_OTHER_DEVICE: Final = Advice(
    "its address now belongs to another device: fix the addresses in the router, or correct did, mac or serial",
    "这个地址现在是别的设备：请在路由器里固定地址，或改正 did、mac、serial",
)
_BROKER: Final = Advice(
    "is it running (systemctl status mosquitto), does it listen beyond loopback (listener 1883), is url right?",
    "broker 在运行吗（systemctl status mosquitto）？监听了局域网吗（listener 1883）？url 写对了吗？",
)
_LOGIN: Final = Advice(
    "the user stands in url, the password in its file; mosquitto_passwd sets it anew, then reload the broker",
    "用户名在 url 里，密码在密码文件里；可用 mosquitto_passwd 重设，然后重新加载 broker",
)
_INSIDE: Final = Advice(
    "this broker runs inside the daemon: systemctl start homebridge-svc, then ask again",
    "这个 broker 在服务内部：先 systemctl start homebridge-svc 再诊断",
)
_TLS: Final = Advice(
    "mqtts:// needs a certificate for the very name in url; one of your own authority needs ca",
    "mqtts:// 的证书要和 url 里的名字一致；自签证书要写 ca",
)
_UDP: Final = Advice(
    "is the projector on? This protocol is of China firmware (GMUI); others: take the table out, ADB is enough",
    "投影仪开着吗？这个协议只有国行固件（GMUI）才有；其他型号请删掉这一段，用 ADB 即可",
)
_UDP_PORT: Final = Advice(
    "another program holds UDP port 16751: ss -ulpn | grep 16751; stop it, or give local another address",
    "UDP 端口 16751 被别的程序占用：用 ss -ulpn | grep 16751 查看并停掉它",
)
_ADB: Final = Advice(
    "is the projector on, and network debugging (ADB, port 5555) switched on in its developer options?",
    "投影仪开着吗？开发者选项里的「网络 ADB 调试」（端口 5555）打开了吗？",
)

_KNOWN: Final[dict[str, tuple[tuple[str, Advice], ...]]] = {
    "plug": (
        ("token right", _NEW_TOKEN),
        ("another device", _OTHER_DEVICE),
        ("publisher says", _NO_MAINS),
        ("hello", _ROUTER),
        ("", _TOPIC),
    ),
    "sensor": (("publisher says", _NO_MAINS), ("", _TOPIC)),
    "mqtt": (
        ("user name or password", _LOGIN),
        ("certificate", _TLS),
        ("SSL", _TLS),
        ("", _BROKER),
    ),
    "embedded": (("", _INSIDE),),
    "adb": (
        ("pair adb", PAIR),
        ("another device", _OTHER_DEVICE),
        ("", _ADB),
    ),
    "udp": (
        ("not to be had", _UDP_PORT),
        ("another projector", _OTHER_DEVICE),
        ("", _UDP),
    ),
}


def advice(kind: str, why: str) -> Advice:
    """What helps against this complaint of a `kind` of thing (a key of the tables above)."""
    return next(found for words, found in _KNOWN[kind] if words in why)
