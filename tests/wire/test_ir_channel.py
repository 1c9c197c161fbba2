"""A projector's infrared channel: code files, and presses that reach an emulated receiver through a real mosquitto."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from support.mqtt import Bench, bench, needs_mosquitto, order, until

from homebridge_svc.adapters.blasters.mqtt_ir import MqttBlaster
from homebridge_svc.adapters.blasters.mqtt_ir import Options as BlasterOptions
from homebridge_svc.adapters.projectors.ir import InfraredChannel, Options, load_codes
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import Action, PressKeys, PutMute, Result, Sleep, Wake
from homebridge_svc.errors import ConfigError, Expired, OutcomeUnknown, Unreachable, Unsupported
from homebridge_svc.ports import Blaster
from homebridge_svc.virtual_home.ir_receiver import IrReceiver
from homebridge_svc.virtual_home.projector_body import Body, ProjectorBody
from homebridge_svc.wire.ir import Signal, nec

CODES = """
power_off = { nec = { address = 0x04, command = 0x01 } }
power_on = { nec = { address = 0x04, command = 0x02 } }
ok = { nec = { address = 0x04, command = 0x03 } }
volume_up = { raw = [RAW] }
mute = { nec = { address = 0xBEEF, command = 0x05 } }
""".replace("RAW", ", ".join(map(str, nec(0x04, 0x04).durations)))
TAUGHT = {
    (0x04, 0x01): "power_off",
    (0x04, 0x02): "power_on",
    (0x04, 0x03): "ok",
    (0x04, 0x04): "volume_up",
    (0xBEEF, 0x05): "mute",
    (0x04, 0x09): "power",
}


class Recorder:
    """A blaster with a faulty wire: sends `good` signals, then nothing reaches it."""

    def __init__(self, good: int = 99) -> None:
        self.sent: list[Signal] = []
        self._good = good

    async def run(self) -> None:
        return

    async def send(self, signal: Signal, *, repeats: int = 0) -> None:
        assert repeats == 0
        if len(self.sent) >= self._good:
            raise Unreachable("the broker is away")
        self.sent.append(signal)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Bench]:
    blasters: dict[str, Blaster] = {}
    async with bench(tmp_path, speed=1, blasters=blasters) as this:
        yield this


def channel(home: Bench, blaster: Blaster, codes: str = CODES) -> InfraredChannel:
    path = home.surroundings.state_dir / "codes.toml"
    path.write_text(codes)
    assert isinstance(home.surroundings.blasters, dict)
    home.surroundings.blasters["rm"] = blaster
    return InfraredChannel("living_room", Options(blaster="rm", codes=path), home.surroundings)


@pytest.mark.peer
@needs_mosquitto
@pytest.mark.parametrize("profile", ["tasmota", "zigbee2mqtt"])
async def test_keys_reach_the_projector_through_the_receiver(
    home: Bench, profile: Literal["tasmota", "zigbee2mqtt"]
) -> None:
    body = ProjectorBody(lambda: home.clock.now().mono, _state=Body.AWAKE)
    receiver = IrReceiver(home.broker.address, home.clock, "ir", profile=profile, taught=TAUGHT, body=body)
    ir = channel(home, MqttBlaster("rm", BlasterOptions(profile=profile, topic="ir"), home.surroundings))
    await home.start(receiver)
    keys = PressKeys(("ok", "volume_up", "volume_up", "mute"))
    assert (await ir.execute(order("living_room.ir", keys))).result is Result.DONE
    await until(lambda: len(body.keys) == 4, what=lambda: str(receiver.pressed))
    assert body.keys == list(keys.keys)
    assert (body.volume, body.muted) == (17, True)
    await ir.execute(order("living_room.ir", Sleep()))
    await until(lambda: body.state is Body.COOLING)
    await ir.execute(order("living_room.ir", Wake()))
    await until(lambda: receiver.pressed[-1] == "power_on")
    assert body.state is Body.COOLING  # a keyboard on the USB port cannot wake it
    assert receiver.strangers == 0


@pytest.mark.peer
@needs_mosquitto
async def test_a_receiver_that_wakes_and_junk_at_the_transmitter(home: Bench) -> None:
    body = ProjectorBody(lambda: home.clock.now().mono)
    receiver = IrReceiver(
        home.broker.address, home.clock, "ir", profile="tasmota", taught=TAUGHT, body=body, wakes=True
    )
    for junk in (b"", b"{", b"\xff", b'{"Protocol":"NEC"}', b"38000,1", b"[" * 9000):
        receiver.heard("cmnd/ir/IRSend", junk)
    receiver.beam(nec(0x04, 0x7F))
    assert (list(receiver.pressed), body.state, receiver.strangers) == ([], Body.ASLEEP, 2)  # "38000,1" is a stranger
    receiver.beam(nec(0x04, 0x02))
    assert body.state is Body.BOOTING


async def test_a_discrete_code_also_works_blind_and_a_toggle_never_does(home: Bench) -> None:
    discrete = channel(home, Recorder()).ability.carries
    assert Power.UNKNOWN in discrete[Sleep]
    assert Power.UNKNOWN in discrete[Wake]
    toggle = channel(home, Recorder(), "power = { nec = { address = 4, command = 9 }, toggle = true }").ability.carries
    assert toggle == {Sleep: {Power.ON, Power.LIGHT_OFF}, Wake: {Power.OFF}}


async def test_a_file_of_keys_alone_carries_no_power(home: Bench) -> None:
    ability = channel(home, Recorder(), "ok = { nec = { address = 4, command = 9 } }").ability
    assert set(ability.carries) == {PressKeys}
    assert (ability.replies, ability.sees_power, ability.confirm_s) == (False, False, 20.0)


@pytest.mark.parametrize("action", [PressKeys(("ok", "settings")), PutMute(True)])
async def test_what_the_file_does_not_hold_is_unsupported_and_nothing_is_sent(home: Bench, action: Action) -> None:
    recorder = Recorder()
    with pytest.raises(Unsupported, match=r"the code file has no 'settings'; it has mute, ok|cannot PutMute"):
        await channel(home, recorder).execute(order("living_room.ir", action))
    assert recorder.sent == []


async def test_a_late_order_is_not_sent(home: Bench) -> None:
    recorder = Recorder()
    late = order("living_room.ir", PressKeys(("ok",)), expires=home.clock.now().mono - 0.001)
    with pytest.raises(Expired):
        await channel(home, recorder).execute(late)
    assert recorder.sent == []


async def test_keys_that_expire_half_way_may_have_happened(home: Bench) -> None:
    recorder = Recorder()
    soon = order("living_room.ir", PressKeys(("ok",) * 5), expires=home.clock.now().mono + 0.2)
    with pytest.raises(OutcomeUnknown, match="of 5 keys were sent"):
        await channel(home, recorder).execute(soon)
    assert 1 <= len(recorder.sent) <= 2


async def test_a_blaster_lost_half_way_is_not_safe_to_repeat(home: Bench) -> None:
    with pytest.raises(OutcomeUnknown, match="1 of 2"):
        await channel(home, Recorder(good=1)).execute(order("living_room.ir", PressKeys(("ok", "mute"))))
    with pytest.raises(Unreachable):
        await channel(home, Recorder(good=0)).execute(order("living_room.ir", PressKeys(("ok", "mute"))))


async def test_a_blaster_that_does_not_exist_is_a_mistake_of_the_file(home: Bench, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"projectors\.living_room\.ir\.blaster: there is no blaster 'rm9'"):
        InfraredChannel("living_room", Options(blaster="rm9", codes=tmp_path / "x.toml"), home.surroundings)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no codes"),
        ("ok = {", "cannot be read"),
        ("fly = { nec = { address = 1, command = 1 } }", "fly: is not a key"),
        ("ok = 5", "ok: must be exactly one of"),
        ("ok = {}", "ok: must be exactly one of"),
        ("ok = { nec = { address = 1 } }", "ok: must be exactly one of"),
        ("ok = { nec = { address = 1, command = 1, extra = 1 } }", "ok: must be exactly one of"),
        ("ok = { nec = { address = 1, command = 1 }, raw = [1, 2] }", "ok: must be exactly one of"),
        ("ok = { nec = { address = 1, command = 256 } }", "ok: a NEC address"),
        ("ok = { pronto = '0100 0000' }", "ok: the Pronto code is too short"),
        ("ok = { raw = [9000, 4500.5] }", "ok: must be exactly one of"),
        ("ok = { raw = [9000, 4500], carrier = 5 }", "ok: a carrier of 5 Hz"),
        ("power = { nec = { address = 1, command = 1 } }", "power: goes to and fro"),
        ("power_off = { nec = { address = 1, command = 1 }, toggle = true }", "toggle = true is for power alone"),
    ],
)
def test_a_wrong_code_file_says_file_key_and_rule(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "codes.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=why) as caught:
        load_codes(path)
    assert str(path) in str(caught.value)


def test_a_code_file_that_is_no_text_is_a_mistake_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "codes.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_codes(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_codes(tmp_path / "absent.toml")
