"""The file: read whole or refused whole, every error at once with its key path and a hint."""

from pathlib import Path

import pytest
from support.example_home import DRIVERS, ENVIRON, HOME, furnish
from syrupy.assertion import SnapshotAssertion

from homebridge_svc.config.effective import effective
from homebridge_svc.config.load import ConfigErrors, load


def findings(directory: Path, text: str | bytes) -> dict[str, tuple[str, str]]:
    file = furnish(directory)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigErrors) as caught:
        load(file, DRIVERS, ENVIRON)
    assert all(error.hint for error in caught.value.errors), "every finding says how to mend it"
    return {error.path: (error.problem, error.hint) for error in caught.value.errors}


def changed(*changes: tuple[str, str]) -> str:
    text = HOME
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_a_good_file_becomes_a_config(tmp_path: Path) -> None:
    config = load(furnish(tmp_path), DRIVERS, ENVIRON).config
    assert config.phrases["看电影"] == ("living_room.power on", "living_room.volume 12")
    projector = config.projectors["living_room"]
    assert (projector.cut_after, projector.on_above, projector.off_below) == (1800.0, 40.0, 8.0)
    assert (projector.ways_on, projector.ways_off) == (("udp", "plug_cycle"), ("udp", "adb", "ir"))
    assert projector.ways_rest == ("adb", "udp", "ir")
    pump = config.pumps["bathroom"]
    assert (pump.max_run, pump.rest, pump.stop.watts_below) == (300.0, 600.0, 10.0)
    assert (pump.schedule[0].days, pump.schedule[0].start, pump.schedule[0].end) == ("workdays", 400, 450)
    assert config.mqtt is not None
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.username, config.mqtt.tls) == (
        "192.168.1.10", 1883, "homebridge", False,
    )  # fmt: skip
    assert (config.web.host, config.web.port, config.web.loopback) == ("0.0.0.0", 8377, False)  # noqa: S104  a setting


def test_a_table_is_its_driver_s_options_too(tmp_path: Path) -> None:
    config = load(furnish(tmp_path), DRIVERS, ENVIRON).config
    assert isinstance(config.plugs["cinema_plug"], DRIVERS["plug"]["miio"])
    assert isinstance(config.projectors["living_room"].channels["adb"], DRIVERS["projector"]["adb"])


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("mqtt://broker", ("broker", 1883, None, False)),
        ("mqtts://we%40home@broker.lan", ("broker.lan", 8883, "we@home", True)),
        ("mqtt://[fd00::1]:1884/", ("fd00::1", 1884, None, False)),
        ("embedded:", ("127.0.0.1", 1883, None, False)),
        ("embedded:1884", ("127.0.0.1", 1884, None, False)),
    ],
)
def test_the_broker_s_address_is_taken_apart(
    tmp_path: Path, url: str, parts: tuple[str, int, str | None, bool]
) -> None:
    text = changed(("mqtt://homebridge@192.168.1.10:1883", url), ('password = { env = "MQTT_PASSWORD" }', ""))
    mqtt = load(furnish(tmp_path, text), DRIVERS, ENVIRON).config.mqtt
    assert mqtt is not None
    assert (mqtt.host, mqtt.port, mqtt.username, mqtt.tls) == parts


@pytest.mark.parametrize("listen", ["127.0.0.1:8377", "localhost:1", "[::1]:8377", "127.0.0.9:0"])
def test_on_loopback_no_token_is_needed(tmp_path: Path, listen: str) -> None:
    text = changed(("0.0.0.0:8377", listen), ('token = { file = "web_token" }', ""))
    assert load(furnish(tmp_path, text), DRIVERS, ENVIRON).config.web.loopback


def test_two_lines_are_a_configuration(tmp_path: Path) -> None:
    config = load(furnish(tmp_path, 'version = 1\ntimezone = "Asia/Shanghai"\n'), DRIVERS, {}).config
    assert config.web.loopback
    assert config.mqtt is None


def test_every_value_in_force_is_printed(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    config = load(furnish(tmp_path), DRIVERS, ENVIRON).config
    assert effective(config).replace(str(tmp_path), "…") == snapshot


def test_what_is_printed_is_read_again(tmp_path: Path) -> None:
    printed = effective(load(furnish(tmp_path), DRIVERS, ENVIRON).config)
    for place in ('{ env = "MQTT_PASSWORD" }', '{ file = "web_token" }', '{ file = "plug_token" }'):
        printed = printed.replace('"***"', place, 1)
    again = load(furnish(tmp_path, printed), DRIVERS, ENVIRON).config
    assert effective(again) == effective(load(furnish(tmp_path), DRIVERS, ENVIRON).config)


def test_all_errors_come_at_once(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    text = changed(
        ("version = 1", "version = 2"),
        ("Asia/Shanghai", "Asia/Beijing"),
        ("mqtt://homebridge@192.168.1.10:1883", "http://192.168.1.10"),
        ('listen = "0.0.0.0:8377"', 'listen = "0.0.0.0"\nport = 8377'),
        ("living_room.volume 12", "living_room.volume loud"),
        ("bathroom.run", "bathrom.run"),
        ('host = "192.168.1.31"', 'hots = "192.168.1.31"'),
        ("[plugs.lamp]", "[plugs.Lamp]"),
        ('driver = "mqtt"\ntopic = "bridge"', 'driver = "mqqt"\ntopic = "bridge"'),
        ('["udp", "plug_cycle"]', '["upd", "plug_cycle"]'),
        ('"45 °C"', "45"),
        ('max_run = "5m"', 'max_run = "20m"'),
        ('from = "06:40"', 'from = "07:40"'),
        ('"20 m", kind = "ppr25"', '"20 kg", kind = "ppr26"'),
    )
    with pytest.raises(ConfigErrors) as caught:
        load(furnish(tmp_path, text), DRIVERS, ENVIRON)
    lines = [f"{e.path}\n    {e.problem}\n    {e.hint}\n    {e.zh}" for e in caught.value.errors]
    assert "\n".join(lines) == snapshot


@pytest.mark.parametrize(
    ("change", "path", "problem", "hint"),
    [
        (("version = 1\n", ""), "version", "is missing", "write version = 1"),
        (("version = 1", "version = 2"), "version", "this program reads version 1", "newer program"),
        (("version = 1", "version = true"), "version", "this program reads version 1", ""),
        (("Asia/Shanghai", "Asia"), "timezone", '"Asia" is not a time zone', ""),
        (("Asia/Shanghai", "asia/shangai"), "timezone", '"asia/shangai" is not a time zone', '"Asia/Shanghai"'),
        (("Asia/Shanghai", "../etc/passwd"), "timezone", '"../etc/passwd" is not a time zone', ""),
        (("[mqtt]", "[mqttt]"), "mqttt", "is not a key here", "did you mean 'mqtt'?"),
        (("[mqtt]", "clock = 'guess'\n[mqtt]"), "clock", '"guess" is not known here', "one of: auto, trusted"),
        (("[mqtt]", "[mqtt]\nca = 'ca.pem'"), "mqtt.ca", "there is no file {base}/ca.pem", "relative"),
        (("[mqtt]", "[mqtt]\nbase_topic = 'a/#'"), "mqtt.base_topic", '"a/#" is not one topic', ""),
        (("mqtt://homebridge@", "mqtt://homebridge@-"), "mqtt.url", "is not an MQTT address", "mqtt://"),
        ((":1883", ":99999"), "mqtt.url", "is not an MQTT address", "mqtt://"),
        (("0.0.0.0:8377", "pi:8377"), "web.listen", '"pi:8377" is not an address to listen on', "127.0.0.1:8377"),
        (("0.0.0.0:8377", "::1:8377"), "web.listen", '"::1:8377" is not an address to listen on', "[::1]:8377"),
        (('driver = "miio"', ""), "plugs.cinema_plug.driver", "is missing", "one of: miio, mqtt"),
        (('driver = "miio"', "driver = 5"), "plugs.cinema_plug.driver", "must be miio or mqtt, not a number", ""),
        (('driver = "miio"', 'driver = "mio"'), "plugs.cinema_plug.driver", '"mio" is not known here', "'miio'"),
        (('host = "192.168.1.31"', ""), "plugs.cinema_plug.host", "is missing", "the plug's address"),
        (('"192.168.1.31"', "5"), "plugs.cinema_plug.host", "must be text in quotes, not a number", ""),
        (('"zigbee2mqtt"', '"zigbee"'), "plugs.pump_plug.profile", '"zigbee" is not known here', "zigbee2mqtt"),
        (("[plugs.lamp]", "[plugs.link]"), "plugs.link", '"link" is taken by this program\'s own topics', ""),
        (("[plugs.lamp]", '[plugs."客厅"]'), 'plugs."客厅"', '"客厅" cannot be a key', "small letters"),
        (('name = "台灯"', 'name = "a\\nb"'), "plugs.lamp.name", "must be a name of 1 to 64 printable characters", ""),
        (('topic = "bridge"', "topic = 'b'\nname = 'b'"), "blasters.bridge.name", "is not a key here", "driver, topic"),
        (
            ("[projectors.living_room.udp]", "[projectors.living_room.upd]"),
            "projectors.living_room.upd",
            "is not a key here",
            "did you mean 'udp'?",
        ),
        (
            ("[projectors.living_room.adb]\n", "[projectors.living_room.adb]\nport = 0\n"),
            "projectors.living_room.adb.port",
            "must be at least 1",
            "",
        ),
        (
            ('plug = "cinema_plug"', "plug = 'cinema_plug'\nvolume_max = '20'"),
            "projectors.living_room.volume_max",
            "must be a whole number (without quotes), not text",
            "",
        ),
        (
            ("com.xiaodianshi.tv.yst", "rm -rf /"),
            'projectors.living_room.apps."哔哩哔哩"',
            '"rm -rf /" is not an Android package',
            "com.",
        ),
        (('cut_after = "30m"', "cut_after = 30"), "projectors.living_room.cut_after", "30 has no unit", "like"),
        (('kind = "tankless_gas"', 'kind = "tank"'), "heaters.gas.ignition_flow", "a tank needs no flow to be hot", ""),
        (('max_run = "5m"', 'max_run = "11m"'), "pumps.bathroom.max_run", "11m is too much", "at most 10m"),
        (('plug = "pump_plug"\n', ""), "pumps.bathroom.plug", "is missing", "the key of the plug"),
        (('to = "06:00"', 'to = "22:30"'), "pumps.bathroom.quiet.to", "is when they begin", ""),
        (('"workdays"', '"mon-fryday"'), "pumps.bathroom.schedule[0].days", "are not days", "workdays"),
        (('"workdays"', '["mon", 5]'), "pumps.bathroom.schedule[0].days", "are not days", "workdays"),
        (('to = "07:30"', 'to = "06:40"'), "pumps.bathroom.schedule[0].to", "06:40 is not after from (06:40)", "two"),
        (('every = "20m"', 'every = "4m"'), "pumps.bathroom.schedule[0].every", "4m is too little", "at least 5m"),
        (('"ppr25"', '"ppr26"'), "pumps.bathroom.pipe.supply.kind", '"ppr26" is not known here', "ppr2"),
        (
            ('max_run = "5m"', 'topology = "drain"'),
            "pumps.bathroom.topology",
            '"drain" is not known here',
            "return_pipe",
        ),
        (('max_run = "5m"', "[pumps.bathroom.learn]"), "pumps.bathroom.learn", "is not a key here", "keys here"),
        (('max_run = "5m"', "aliases = '热水'"), "pumps.bathroom.aliases", "must be a list in [ ], not text", ""),
    ],
)
def test_a_wrong_value_is_named_with_path_problem_and_hint(
    tmp_path: Path, change: tuple[str, str], path: str, problem: str, hint: str
) -> None:
    found = findings(tmp_path, changed(change))
    assert path in found, found
    said, way_out = found[path]
    assert problem.format(base=tmp_path) in said
    assert hint in way_out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version = 1\nname = 客厅\n", "line 2, column 8: "),
        ("version = 1\nfrom = 06:40\n", "line 2, column 9: "),
        ("version = 1\nversion = 1\n", "line 2, column 12: "),
        ("a = [1, 2", "line 1: "),
        ("a = " + "9" * 5000, ""),
        ("a = " + "[" * 5000, "is nested too deeply"),
        (b"\xff\xfev\x00", "is saved as UTF-16"),
        (b"version = 1\n# caf\xe9\n", "is not UTF-8: a byte in line 2"),
        (b"#" * 1_048_577, "is larger than 1 MiB"),
    ],
)
def test_what_is_no_toml_is_said_with_its_place(tmp_path: Path, text: str | bytes, problem: str) -> None:
    ((said, _),) = findings(tmp_path, text).values()
    assert said.startswith(problem)


def test_a_syntax_error_shows_its_line(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    ((said, hint),) = findings(tmp_path, "version = 1\nfrom = 06:40\n").values()
    assert f"{said}\n{hint}" == snapshot


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    file = furnish(tmp_path)
    file.write_bytes(b"\xef\xbb\xbf" + HOME.encode())
    assert load(file, DRIVERS, ENVIRON).config.version == 1


@pytest.mark.parametrize("name", ["absent.toml", "ir", "a\0b"])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    furnish(tmp_path)
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / name, DRIVERS, ENVIRON)
    assert caught.value.errors[0].hint


def test_a_file_of_somebody_else_is_said(tmp_path: Path) -> None:
    file = tmp_path / "home.toml"
    file.symlink_to(file)  # what even root cannot read
    with pytest.raises(ConfigErrors, match="cannot be read"):
        load(file, DRIVERS, ENVIRON)


def test_names_are_folded_to_one_width(tmp_path: Path) -> None:
    config = load(furnish(tmp_path, changed(("客厅投影", "  ＴＶ　客厅 "))), DRIVERS, ENVIRON).config
    assert config.projectors["living_room"].name == "TV 客厅"
