"""Verdicts on devices: what `doctor` makes of what was seen, and of what was not. Nothing here waits or asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from homebridge_svc.adapters.plugs.mqtt import Options as MqttPlugOptions
from homebridge_svc.adapters.projectors.adb import Options as AdbOptions
from homebridge_svc.cli import findings
from homebridge_svc.cli.evidence import Situation
from homebridge_svc.cli.findings import Advice, Finding, advice, bad, note, ok
from homebridge_svc.cli.peek import STATE_FILE, read_state_file
from homebridge_svc.config.model import PlugTable
from homebridge_svc.errors import StoreError

MOST_WATTS: Final = {"projectors": 1_000.0, "pumps": 500.0}  # what such a thing can draw; more is a wrong scale
OFF_WATTS = 5.0  # an open relay's load draws nothing; more is a wrong scale, or a contact that is welded


def of_devices(where: Situation) -> Iterator[Finding]:
    """Everything that has a key, in the order of the file."""
    config = where.loaded.config
    for number, voice in enumerate(config.voice):
        yield _told_by_broker(where, f"voice[{number}]", voice.driver)
    for key, table in config.plugs.items():
        yield _plug(where, key, table)
    for key, blaster in config.blasters.items():
        yield _told_by_broker(where, f"blasters.{key}", blaster.driver)
    for key, channels in where.parts.channels.items():
        for name in channels:
            yield _channel(where, key, name)
    for key in config.sensors:
        yield _sensor(where, key)
    for key in config.pumps:
        yield _pump(where, key)


def _told_by_broker(where: Situation, thing: str, driver: str) -> Finding:
    """Of what only the broker, or nobody, can be asked."""
    if driver == "mqtt":
        return ok(thing, "the broker carries it", "由 broker 转发") if where.evidence.line[0] else _not_asked(thing)
    return ok(thing, "waits to be called", "等待调用")


def _not_asked(thing: str) -> Finding:
    return note(thing, "not asked: there is no broker", "没有 broker，无法询问")


def _plug(where: Situation, key: str, table: PlugTable) -> Finding:
    evidence, thing = where.evidence, f"plugs.{key}"
    if isinstance(table, MqttPlugOptions) and not evidence.line[0]:
        return _not_asked(thing)
    up, on = evidence.up(key), evidence.on.get(key)
    if up is False:
        why = evidence.ends[key].why
        return bad(thing, why, "没有回应", advice("plug", why))
    if on is None:
        silent = "says nothing about its switch", "没有报告开关状态"
        if isinstance(table, MqttPlugOptions) and table.profile == "generic":  # it cannot be asked
            return note(thing, *silent, advice("plug", ""))
        return bad(thing, *silent, advice("plug", ""))
    return _watts(where, key, thing, on=on)


def _watts(where: Situation, key: str, thing: str, *, on: bool) -> Finding:
    """A plug that speaks: does its meter, and may it be true?"""
    config, watts = where.loaded.config, where.evidence.watts.get(key)
    switch, zh = ("on", "开") if on else ("off", "关")
    if watts is None:
        if not where.parts.plugs[key].ability.meters:
            return ok(thing, switch, zh)
        needed = any(p.plug == key for p in config.projectors.values()) or any(
            p.plug == key and p.stop.watts_below is not None for p in config.pumps.values()
        )
        mqtt = isinstance(config.plugs[key], MqttPlugOptions)
        silent = f"{switch}, but it tells no watts", "没有报告功率", findings.NO_WATTS if mqtt else findings.WRONG_SCALE
        return bad(thing, *silent) if needed else note(thing, *silent)
    most = min(
        [MOST_WATTS["projectors"] for p in config.projectors.values() if p.plug == key]
        + [MOST_WATTS["pumps"] for p in config.pumps.values() if p.plug == key],
        default=float("inf"),
    )
    if watts > most or (watts > OFF_WATTS and not on):
        return bad(
            thing,
            f"{switch} with {watts:g} W: that cannot be",
            f"{zh}，{watts:g} W，不合理",
            findings.WRONG_SCALE,
        )
    return ok(thing, f"{switch}, {watts:g} W", f"{zh}，{watts:g} W")


def _channel(where: Situation, key: str, name: str) -> Finding:
    evidence, end, thing = where.evidence, f"{key}.{name}", f"projectors.{key}.{name}"
    if not where.parts.channels[key][name].ability.replies:
        return ok(thing, "sends only; whether it arrives, a person sees", "只发不收，要靠人看效果")
    if evidence.knows_channel(end=end):
        power = evidence.projectors[end].power
        return ok(thing, f"answers, power {power.value}" if power else "answers", "有回应")
    why = evidence.ends[end].why if end in evidence.ends else "no answer"
    hint = _with_place(where, key, name, advice(name, why) if name in {"adb", "udp"} else Advice())
    if name == "udp" and where.page.ours and "not to be had" in why:
        seen = where.page.devices.get(key, {}).get("state", {}).get("channels", {}).get(name, "unknown")
        return note(
            thing, f"the running daemon holds the port; it says: {seen}", f"端口由运行中的服务占用，它看到：{seen}"
        )
    if "pair adb" not in why and _is_off(where, key):
        return note(
            thing,
            "cannot be asked: the projector is off",
            "投影仪关着，无法检查",
            Advice("switch it on and run doctor again", "打开投影仪后再运行一次"),
        )
    return bad(thing, why, "没有回应", hint)


def _with_place(where: Situation, key: str, name: str, hint: Advice) -> Advice:
    """Fill in where the projector is and which file we read."""
    table = where.loaded.config.projectors[key].channels[name]
    host = table.host if isinstance(table, AdbOptions) else ""
    file = str(where.loaded.file)
    return Advice(hint.en.format(host=host, file=file), hint.zh.format(host=host, file=file))


def _is_off(where: Situation, key: str) -> bool:
    """The projector's plug says that nothing of it runs."""
    table, evidence = where.loaded.config.projectors[key], where.evidence
    if table.plug is None:
        return False
    return evidence.on.get(table.plug) is False or evidence.watts.get(table.plug, table.on_above) < table.off_below


def _sensor(where: Situation, key: str) -> Finding:
    evidence, thing = where.evidence, f"sensors.{key}"
    if not evidence.line[0]:
        return _not_asked(thing)
    if key in evidence.sensors:
        return ok(thing, f"{evidence.sensors[key].value:g} °C", f"{evidence.sensors[key].value:g} °C")
    if evidence.up(key) is False:
        return bad(thing, evidence.ends[key].why, "不在线", advice("sensor", evidence.ends[key].why))
    return note(thing, "said nothing while we looked; it cannot be asked", "检查期间没有数据", advice("sensor", ""))


def _pump(where: Situation, key: str) -> Finding:
    table, thing = where.loaded.config.pumps[key], f"pumps.{key}"
    limit = f"at most {table.max_run:g} s a run", f"每次最多 {table.max_run:g} 秒"
    if table.unattended_without_dead_man or not table.schedule:
        return ok(thing, *limit)
    if not where.parts.plugs[table.plug].ability.dead_man:
        return note(
            thing,
            "scheduled runs will be refused: its plug cannot switch itself off",
            "定时不会启动：插座不能自己关闭",
            findings.NO_TIMER,
        )
    try:
        state = read_state_file(where.state_dir / STATE_FILE, 0)
    except StoreError:
        state = None
    if state is None or not state.memory.get(f"proof.{key}"):
        return note(
            thing,
            "scheduled runs will be refused: its plug's own timer is not proven",
            "定时不会启动：插座的自动关闭还没验证",
            findings.NOT_PROVEN,
        )
    return ok(thing, *limit)
