"""What must fit together in a file whose tables are right in themselves."""

from pathlib import Path

import pytest
from support.example_home import DRIVERS, ENVIRON, HOME, furnish

from homebridge_svc.config.load import ConfigErrors, load

VOICE = '[[voice]]\ndriver = "mqtt"\ntopic = "other"\n[voice.phrases]\n'
SECOND_PUMP = '\n[pumps.kitchen]\nplug = "pump_plug"\n'


def findings(directory: Path, text: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(ConfigErrors) as caught:
        load(furnish(directory, text), DRIVERS, ENVIRON)
    assert all(error.hint for error in caught.value.errors), "every finding says how to mend it"
    return {error.path: (error.problem, error.hint) for error in caught.value.errors}


def changed(*changes: tuple[str, str]) -> str:
    text = HOME
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("change", "path", "problem", "hint"),
    [
        (
            ('plug = "cinema_plug"', 'plug = "cinema_plgu"'),
            "projectors.living_room.plug",
            "there is no [plugs.cinema_plgu]",
            "did you mean 'cinema_plug'?",
        ),
        (
            ('plug = "cinema_plug"', 'plug = "lamp"'),
            "projectors.living_room.plug",
            "lamp cannot switch: statestream only reports",
            "takes orders",
        ),
        (
            ('plug = "cinema_plug"', 'plug = "pump_plug"'),
            "pumps.bathroom.plug",
            "pump_plug already belongs to living_room",
            "one plug, one device",
        ),
        (
            ('blaster = "bridge"', 'blaster = "rm4"'),
            "projectors.living_room.ir.blaster",
            "there is no [blasters.rm4]",
            "known: bridge",
        ),
        (('heater = "gas"', 'heater = "oil"'), "pumps.bathroom.heater", "there is no [heaters.oil]", "known: gas"),
        (
            ('sensor = "return_temperature"', 'sensor = "return_temp"'),
            "pumps.bathroom.stop.temperature.sensor",
            "there is no [sensors.return_temp]",
            "did you mean 'return_temperature'?",
        ),
        (
            ('at = "36 °C"', 'at = "45 °C"'),
            "pumps.bathroom.stop.temperature.at",
            "45 °C is never reached: gas gives 45 °C",
            "below the heater's outlet",
        ),
        (
            ("[pumps.bathroom.pipe]", '[pumps.bathroom.pipe]\nflow = "2 L/min"'),
            "pumps.bathroom.pipe.flow",
            "2 L/min does not light gas, which needs 2.5 L/min",
            "measure",
        ),
        (
            ('max_run = "5m"', 'rest = "30m"'),
            "pumps.bathroom.schedule[0].every",
            "20m is shorter than rest (30m)",
            "would be refused",
        ),
        (
            ('cut_after = "30m"', 'off_below = "40 W"'),
            "projectors.living_room.off_below",
            "40 W is not below on_above (40 W)",
            "gap",
        ),
        (
            ('"plug_cycle"', '"ble"'),
            "projectors.living_room.power_on[1]",
            "'ble' is not a channel here",
            "known: adb, ir, plug, plug_cycle, udp",
        ),
        (
            ('cut_after = "30m"', 'power_off = ["plug"]'),
            "projectors.living_room.power_off[0]",
            "plug is no way to switch off",
            "cut_after",
        ),
        (
            ('plug = "cinema_plug"\n', ""),
            "projectors.living_room.power_on[1]",
            "plug_cycle needs a plug",
            'add plug = "…"',
        ),
        (
            ('plug = "cinema_plug"\n', ""),
            "projectors.living_room.cut_after",
            "does nothing without a plug",
            "leave it out",
        ),
        (
            ("[plugs.lamp]", "[plugs.bathroom]"),
            "pumps.bathroom",
            "there is already plugs.bathroom",
            "unique across all kinds",
        ),
        (
            ('aliases = ["投影仪"]', 'aliases = ["热 水"]'),
            "pumps.bathroom.name",
            '"热水" already means living_room',
            "names of its own",
        ),
        (
            ('aliases = ["投影仪"]', 'aliases = ["Return_Temperature"]'),
            "projectors.living_room.aliases[0]",
            '"Return_Temperature" already means return_temperature',
            "names of its own",
        ),
        (("mqtt://homebridge@", "mqtt://"), "mqtt.password", "there is no user to go with it", "user@host"),
        (("[web]", '[x]\n[web]\nnames = ["pi.local"]'), "x", "is not a key here", "keys here"),
        (
            ('password = { env = "MQTT_PASSWORD" }', 'ca = "plug_token"'),
            "mqtt.ca",
            "does nothing without encryption",
            "mqtts://",
        ),
        (
            ('token = { file = "web_token" }', ""),
            "web.token",
            "is missing: 0.0.0.0:8377 can be reached by others",
            "openssl rand",
        ),
        (
            ('token = { file = "web_token" }', 'token = { file = "short" }'),
            "web.token",
            "is shorter than 16 characters",
            "openssl rand",
        ),
        (
            ('"bathroom.run"', '"bathroom.power on"'),
            'voice[0].phrases."我要洗澡"[0]',
            "bathroom is in [pumps], and this command is for [projectors]",
            "another device",
        ),
        (
            ('"bathroom.run"', '"return_temperature.on"'),
            'voice[0].phrases."我要洗澡"[0]',
            "return_temperature is in [sensors], and this command is for [plugs]",
            "another device",
        ),
        (
            ('"bathroom.run"', '"pump_plug.on"'),
            'voice[0].phrases."我要洗澡"[0]',
            "pump_plug belongs to bathroom",
            "ask bathroom instead",
        ),
        (
            ('"bathroom.run"', '"run"'),
            'voice[0].phrases."我要洗澡"[0]',
            "'run' names no device",
            "living_room.power on",
        ),
        (('["bathroom.run"]', "[]"), 'voice[0].phrases."我要洗澡"', "does nothing", "list its commands"),
        (('"我要洗澡"', '"，！"'), 'voice[0].phrases."，！"', "nobody can say this", "letters"),
        (
            ("living_room.volume 12", "living_room.volume 101"),
            'voice[0].phrases."看电影"[1]',
            "101 is above its volume_max (100)",
            "",
        ),
        (
            ("living_room.volume 12", "living_room.input hdmi9"),
            'voice[0].phrases."看电影"[1]',
            "living_room has no input 'hdmi9'",
            "HDMI 1",
        ),
        (
            ("[plugs.cinema_plug]", VOICE + '"看 电影！" = ["bathroom.run"]\n[plugs.cinema_plug]'),
            'voice[1].phrases."看 电影！"',
            'sounds like voice[0].phrases."看电影"',
            "stands once",
        ),
        (
            ("[plugs.cinema_plug]", 2 * '[[voice]]\ndriver = "webhook"\nname = "phone"\n' + "[plugs.cinema_plug]"),
            "voice[2].name",
            "voice[1] has this address",
            "its own",
        ),
        (("[[pumps.bathroom", SECOND_PUMP + "[[pumps.bathroom"), "pumps.kitchen.plug", "already belongs", "one plug"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, change: tuple[str, str], path: str, problem: str, hint: str
) -> None:
    (tmp_path / "short").write_text("letmein")
    (tmp_path / "short").chmod(0o600)
    found = findings(tmp_path, changed(change))
    assert path in found, found
    assert problem in found[path][0]
    assert hint in found[path][1]


def test_a_broker_is_missing_when_something_speaks_mqtt(tmp_path: Path) -> None:
    text = 'version = 1\ntimezone = "Asia/Shanghai"\n[home_assistant]\ndiscovery = true\n' + VOICE
    text += '[sensors.warm]\ndriver = "mqtt"\ntopic = "warm"\n'
    problem, hint = findings(tmp_path, text)["mqtt"]
    assert problem == "is missing, but voice[0], sensors.warm, home_assistant.discovery needs it"
    assert "embedded:" in hint


@pytest.mark.parametrize(
    ("table", "ways"),
    [
        ("", {"on", "off"}),
        ("[projectors.tv.udp]\nhost = 'tv'", {"on"}),  # it cannot wake
        ("[projectors.tv.adb]\nhost = 'tv'", set()),
        ("plug = 'lamp'", {"off"}),
        ("plug = 'lamp'\ncut_after = '30m'", set()),  # off by its remote, then cut: on is the plug
        ("plug = 'lamp'\n[projectors.tv.ir]\nblaster = 'bridge'\ncodes = 'ir/living_room.toml'", set()),
    ],
)
def test_a_projector_needs_a_way_on_and_a_way_off(tmp_path: Path, table: str, ways: set[str]) -> None:
    text = HOME.replace('"statestream"', '"zigbee2mqtt"') + f"\n[projectors.tv]\nfamily = 'google_tv'\n{table}\n"
    try:
        load(furnish(tmp_path, text), DRIVERS, ENVIRON)
        found = set()
    except ConfigErrors as caught:
        found = {error.problem.rpartition(" ")[2] for error in caught.errors if error.path == "projectors.tv"}
    assert found == ways


def test_a_pump_may_stop_on_time_alone(tmp_path: Path) -> None:
    text = HOME.replace('temperature = { sensor = "return_temperature", at = "36 °C", min_rise = "5 K" }', "")
    pump = load(furnish(tmp_path, text.replace('watts_below = "10 W"', "")), DRIVERS, ENVIRON).config.pumps["bathroom"]
    assert pump.stop.temperature is None
    assert pump.stop.watts_below is None


def test_a_mistake_in_one_table_does_not_hide_what_does_not_fit_elsewhere(tmp_path: Path) -> None:
    text = changed(('host = "192.168.1.31"', ""), ('heater = "gas"', 'heater = "oil"'), ("[[voice]]", "[[voice]]\nx=1"))
    assert set(findings(tmp_path, text)) == {"voice[0].x", "plugs.cinema_plug.host", "pumps.bathroom.heater"}


def test_a_typing_mistake_in_a_device_does_not_hide_what_it_refers_to(tmp_path: Path) -> None:
    text = changed(
        ("cut_after", "cut_afer"),
        ('plug = "cinema_plug"', 'plug = "pump_plug"'),
        ("watts_below", "watts_belo"),
        ('"36 °C"', "36"),
        ('heater = "gas"', 'heater = "oil"'),
        ('blaster = "bridge"', 'blaster = "rm4"'),
    )
    assert set(findings(tmp_path, text)) == {
        "projectors.living_room.cut_afer",
        "projectors.living_room.ir.blaster",
        "pumps.bathroom.plug",
        "pumps.bathroom.heater",
        "pumps.bathroom.stop.watts_belo",
        "pumps.bathroom.stop.temperature.at",
    }


def test_what_was_cut_out_as_wrong_is_not_missed(tmp_path: Path) -> None:
    text = changed(
        ("\nplug = ", "\nplgu = "),
        ('outlet = "45 °C"', "outlet = 60"),
        ('at = "36 °C"', 'at = "50 °C"'),
        ("volume 12", "volume 120"),
        ('max_run = "5m"', "rest = 5"),
        ('every = "20m"', 'every = "5m"'),
    )
    assert set(findings(tmp_path, text)) == {
        "projectors.living_room.plgu",
        "pumps.bathroom.plgu",
        "pumps.bathroom.plug",
        "pumps.bathroom.rest",
        "heaters.gas.outlet",
    }


def test_a_reference_to_a_table_that_is_wrong_in_itself_is_no_second_error(tmp_path: Path) -> None:
    assert set(findings(tmp_path, changed(('host = "192.168.1.31"', "")))) == {"plugs.cinema_plug.host"}
