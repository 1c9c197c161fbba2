"""What must fit together: references, owners, names, limits, phrases. Every finding is collected, none raised.

`declared` holds all keys that the file has per section, also those whose table is wrong in itself: a reference to
such a table is not a second error. `wounded` are the tables of which something was cut out because it was wrong: what
they lack now proves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import assert_never

from pydantic import BaseModel

from homebridge_svc.config.cross_devices import (
    Declared,
    blasters,
    check_projector,
    check_pump,
    guess,
    reference,
    warmth,
)
from homebridge_svc.config.devices import Projector, Pump
from homebridge_svc.config.model import KEYED, Config
from homebridge_svc.config.problems import Problem, key_path
from homebridge_svc.core.commands import parse_line
from homebridge_svc.core.intents import (
    Intent,
    PressKey,
    ResetPump,
    RunPump,
    SelectInput,
    SetMute,
    SetPower,
    SetVolume,
    StartApp,
    StepVolume,
    StopPump,
    SwitchPlug,
)
from homebridge_svc.core.interpret import normalise

SHORTEST_TOKEN = 16  # characters, where others can reach the page


def check(config: Config, declared: Declared, wounded: Collection[tuple[int | str, ...]] = ()) -> list[Problem]:
    """Find everything that does not fit together."""
    hurt = {str(place[1]) for place in wounded if len(place) > 1 and place[0] in ("projectors", "pumps", "heaters")}
    return [
        *_keys(declared),
        *_names(config),
        *_broker(config),
        *_page(config),
        *_hooks(config),
        *_plugs(config, declared),
        *(found for key, table in config.projectors.items() for found in blasters(key, table, declared)),
        *(found for key, table in config.pumps.items() for found in warmth(key, table, declared)),
        *(
            found
            for key, table in config.projectors.items()
            if key not in hurt
            for found in check_projector(key, table)
        ),
        *(
            found
            for key, table in config.pumps.items()
            if not {key, table.heater} & hurt
            for found in check_pump(key, table, config)
        ),
        *_phrases(config, declared, hurt),
    ]


def _keys(declared: Declared) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for section in KEYED:
        for key in declared.get(section, ()):
            if key in owner:
                yield Problem(
                    key_path((section, key)),
                    f"there is already {owner[key]}.{key}",
                    "keys are unique across all kinds: they make topics and ids",
                    "每个设备的键名必须全局唯一",
                )
            owner.setdefault(key, section)


def _names(config: Config) -> Iterator[Problem]:
    said: dict[str, str] = {normalise(key): key for table in config.tables().values() for key in table}
    for section, tables in config.tables().items():
        for key, table in tables.items():
            name, aliases = getattr(table, "name", None), getattr(table, "aliases", ())
            spoken: list[tuple[tuple[str | int, ...], str]] = [(("name",), name)] if name else []
            spoken += [(("aliases", index), alias) for index, alias in enumerate(aliases)]
            for where, text in spoken:
                other = said.setdefault(normalise(text), key)
                if other != key:
                    yield Problem(
                        key_path((section, key, *where)),
                        f'"{text}" already means {other}',
                        "give each device names of its own",
                        f"「{text}」已经是 {other} 的名字",
                    )


def _broker(config: Config) -> Iterator[Problem]:
    mqtt = config.mqtt
    if mqtt is None:
        users = [f"voice[{index}]" for index, voice in enumerate(config.voice) if voice.driver == "mqtt"]
        for section in ("plugs", "blasters", "sensors"):
            tables = getattr(config, section)
            users += [f"{section}.{key}" for key, table in tables.items() if table.driver == "mqtt"]
        if "discovery" in config.home_assistant.model_fields_set and config.home_assistant.discovery:
            users.append("home_assistant.discovery")
        if users:
            yield Problem(
                "mqtt",
                f"is missing, but {', '.join(users)} needs it",
                'add [mqtt] with url = "mqtt://…", or "embedded:" for a broker inside',
                "缺少 [mqtt]（MQTT 服务器地址）",
            )
        return
    if mqtt.password is not None and mqtt.username is None:
        yield Problem("mqtt.password", "there is no user to go with it", 'name the user in url: "mqtt://user@host"')
    if mqtt.ca is not None and not mqtt.tls:
        yield Problem("mqtt.ca", "does nothing without encryption", 'write url = "mqtts://…", or leave ca out')


def _page(config: Config) -> Iterator[Problem]:
    if config.web.loopback:
        return
    if config.web.token is None:
        yield Problem(
            "web.token",
            f"is missing: {config.web.listen} can be reached by others",
            'token = { file = "web_token" }; make one with: (umask 077; openssl rand -hex 16 > web_token)',
            "对外监听时必须设置 token",
        )
    tokens = {"web.token": config.web.token}
    tokens |= {f"voice[{number}].token": getattr(voice, "token", None) for number, voice in enumerate(config.voice)}
    for path, token in tokens.items():  # a webhook's is all that keeps others from commanding
        if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
            yield Problem(path, f"is shorter than {SHORTEST_TOKEN} characters", "openssl rand -hex 16")


def _hooks(config: Config) -> Iterator[Problem]:
    taken: dict[str, int] = {}
    for number, voice in enumerate(config.voice):
        name = getattr(voice, "name", None)  # the address of a webhook
        if isinstance(name, str) and taken.setdefault(name, number) != number:
            yield Problem(f"voice[{number}].name", f"voice[{taken[name]}] has this address", "each hook needs its own")


def _plugs(config: Config, declared: Declared) -> Iterator[Problem]:
    """A plug belongs to one device, exists, and can act."""
    owner: dict[str, str] = {}
    devices: dict[str, Mapping[str, Projector | Pump]] = {"projectors": config.projectors, "pumps": config.pumps}
    for section, tables in devices.items():
        for key, table in tables.items():
            if table.plug is None:
                continue
            path = (section, key, "plug")
            yield from reference(path, "plugs", table.plug, declared)
            if table.plug in owner:
                yield Problem(
                    key_path(path),
                    f"{table.plug} already belongs to {owner[table.plug]}",
                    "one plug, one device: switching one would switch the other",
                    "一个插座只能属于一个设备",
                )
            owner.setdefault(table.plug, key)
            why = _why_it_cannot_act(config.plugs.get(table.plug))
            if why:
                yield Problem(key_path(path), f"{table.plug} cannot switch: {why}", "choose a plug that takes orders")


def _why_it_cannot_act(plug: BaseModel | None) -> str | None:
    ask = getattr(plug, "problems_as_actuator", None)  # drivers that may be read-only offer it
    return str(why) if ask is not None and (why := ask()) else None


def _phrases(config: Config, declared: Declared, hurt: Collection[str]) -> Iterator[Problem]:
    said: dict[str, str] = {}
    for number, voice in enumerate(config.voice):
        for phrase, commands in voice.phrases.items():
            path = key_path(("voice", number, "phrases", phrase))
            meant = normalise(phrase)
            if not meant:
                yield Problem(path, "nobody can say this", "a phrase has letters or characters")
            elif meant in said:
                yield Problem(path, f"sounds like {said[meant]}", "each phrase stands once", "这句话已经定义过")
            said.setdefault(meant, path)
            if not commands:
                yield Problem(path, "does nothing", 'list its commands, like ["living_room.power on"]')
            for index, command in enumerate(commands):
                yield from _command(f"{path}[{index}]", command, config, declared, hurt)


def _command(path: str, command: str, config: Config, declared: Declared, hurt: Collection[str]) -> Iterator[Problem]:
    try:
        key, intent = parse_line(command)
    except ValueError as why:
        yield Problem(path, str(why), 'device, dot, command: "living_room.power on"', "写成「设备键名.命令」")
        return
    section = next((section for section in KEYED if key in declared.get(section, ())), None)
    if section is None:
        known = [name for wanted in ("projectors", "pumps", "plugs") for name in declared.get(wanted, ())]
        yield Problem(path, f"there is no device {key!r}", guess(key, known), f"没有设备 {key}")
    elif section != (wanted := _section(intent)):
        yield Problem(path, f"{key} is in [{section}], and this command is for [{wanted}]", "name another device")
    elif isinstance(intent, SetVolume) and key not in hurt and intent.level > config.projectors[key].volume_max:
        yield Problem(path, f"{intent.level} is above its volume_max ({config.projectors[key].volume_max})", "lower it")
    elif isinstance(intent, SelectInput) and key not in hurt and not _has_input(intent.name, config.projectors[key]):
        inputs = ", ".join(config.projectors[key].inputs)
        yield Problem(
            path, f"{key} has no input {intent.name!r}", f"known: {inputs}", f"没有这个信号源，可选：{inputs}"
        )
    elif section == "plugs" and (owner := _owner(key, config)):
        yield Problem(path, f"{key} belongs to {owner}", f"ask {owner} instead", f"这个插座由 {owner} 管理")


def _has_input(name: str, projector: Projector) -> bool:
    return name in projector.inputs or name in projector.inputs.values()


def _section(intent: Intent) -> str:
    match intent:
        case SetPower() | SetVolume() | StepVolume() | SetMute() | SelectInput() | StartApp() | PressKey():
            return "projectors"
        case RunPump() | StopPump() | ResetPump():
            return "pumps"
        case SwitchPlug():
            return "plugs"
        case _:
            assert_never(intent)


def _owner(plug: str, config: Config) -> str | None:
    devices: dict[str, Projector | Pump] = {**config.projectors, **config.pumps}
    return next((key for key, device in devices.items() if device.plug == plug), None)
