"""A fake Android behind a ProjectorBody: what its shell prints and what its commands do.

It answers what a real projector would be asked, by us and by others (Home Assistant's androidtv): getprop, dumpsys,
input, media volume, monkey, am, pm, ps, ip, cat, date. Output formats follow the version (`sdk`), because clients
read different lines on different versions. `executed` holds every command that touched the machine, with its policy
time: what a test asks when it must know that nothing happened late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.virtual_home.projector_body import Body, ProjectorBody
from homebridge_svc.virtual_home.shell import Call, Command, Shell, Write
from homebridge_svc.virtual_home.toybox import TOOLS

RELEASES = {19: "4.4.2", 22: "5.1.1", 25: "7.1.2", 28: "9", 29: "10", 30: "11", 31: "12", 33: "13", 34: "14"}
HOME_APP = "com.xgimi.home"
KEYS = {  # Android's own numbers, kept apart from the client's table on purpose
    3: "home", 4: "back", 19: "up", 20: "down", 21: "left", 22: "right", 23: "ok", 24: "volume_up", 25: "volume_down",
    66: "ok", 82: "menu", 85: "play_pause", 86: "stop", 87: "next", 88: "previous", 89: "rewind", 90: "fast_forward",
    126: "play", 127: "pause", 164: "mute", 176: "settings", 178: "source",
}  # fmt: skip
INPUTS = {243: "hdmi1", 244: "hdmi2", 245: "hdmi3", 246: "hdmi4"}
POWER, SLEEP, WAKEUP = 26, 223, 224


@dataclass(slots=True)
class Android:
    """The system on the machine. input_takes: policy seconds that one `input` needs (a JVM starts).

    hides_uptime: its shell may not read /proc/uptime.
    apps: package -> has a TV (LEANBACK) entry. executed: (policy time, command) of everything but shell built-ins.
    """

    body: ProjectorBody
    clock: SystemClock
    serial: str = "XGIMI0012345"
    model: str = "XGIMI Z6X"
    sdk: int = 28
    input_takes: float = 0.0
    hides_uptime: bool = False
    apps: dict[str, bool] = field(
        default_factory=lambda: {HOME_APP: True, "com.xiaodianshi.tv.yst": True, "com.example.phoneapp": False}
    )
    executed: list[tuple[float, str]] = field(default_factory=list)

    @property
    def uptime(self) -> float:
        """Seconds since boot."""
        return self.body.mono() - self.body.booted_at

    async def run(self, line: str, write: Write) -> int:
        """Run one shell line, its output written as it comes; returns the exit status."""
        programs: dict[str, Callable[[Call], str | tuple[str, int]]] = {
            "getprop": self._getprop,
            "dumpsys": self._dumpsys,
            "media": self._media,
            "cmd": self._media,
            "monkey": self._monkey,
            "am": self._am,
            "pm": self._pm,
            "ps": lambda _: f"u0_a36 1203 238 1650000 210000 0 0 S {self.body.app}\n",
            "ip": lambda _: "    link/ether 00:88:99:aa:bb:cc brd ff:ff:ff:ff:ff:ff\n",
            "cat": self._cat,
            "date": lambda _: f"{int(self.clock.now().utc.timestamp())}\n",
        }
        commands: dict[str, Command] = {name: self._logged(program) for name, program in programs.items()}
        return await Shell({**TOOLS, **commands, "input": self._input, "sleep": self._sleep}, self._file).run(
            line, write
        )

    def _logged(self, program: Callable[[Call], str | tuple[str, int]]) -> Command:
        async def command(call: Call) -> int:
            self._log(call)
            answer = program(call)
            text, status = (answer, 0) if isinstance(answer, str) else answer
            await call.write(text)
            return status

        return command

    def _log(self, call: Call) -> None:
        self.executed.append((self.body.mono(), " ".join(call.words)))

    def _file(self, name: str) -> str | None:
        return (
            f"{self.uptime:.2f} {self.uptime * 3:.2f}\n" if name == "/proc/uptime" and not self.hides_uptime else None
        )

    def _cat(self, call: Call) -> str | tuple[str, int]:
        if len(call.words) == 1:
            return call.stdin
        content = self._file(call.words[1])
        return content if content is not None else (f"cat: {call.words[1]}: No such file or directory\n", 1)

    async def _sleep(self, call: Call) -> int:
        await self.clock.sleep(float(call.words[1]) if call.words[1:] and call.words[1].isdecimal() else 0.0)
        return 0

    def _getprop(self, call: Call) -> str:
        release = RELEASES.get(self.sdk, "9")
        properties = {
            "ro.serialno": self.serial,
            "ro.product.manufacturer": "XGIMI",
            "ro.product.brand": "XGIMI",
            "ro.product.model": self.model,
            "ro.product.device": "guava",
            "ro.product.vendor.device": "guava",
            "ro.build.version.release": release,
            "ro.build.version.sdk": str(self.sdk),
            "sys.boot_completed": "1" if self.body.state is not Body.BOOTING else "",
        }
        if len(call.words) == 1:
            return "".join(f"[{name}]: [{value}]\n" for name, value in properties.items())
        return properties.get(call.words[1], "") + "\n"

    async def _input(self, call: Call) -> int:
        """`input [source] keyevent [--longpress] CODE …`."""
        self._log(call)
        if "keyevent" not in call.words:
            await call.write("Error: Unknown command\n")
            return 1
        await self.clock.sleep(self.input_takes)
        for word in call.words[call.words.index("keyevent") + 1 :]:
            if word.isdecimal():
                self.press(int(word))
        return 0

    def press(self, code: int) -> None:
        """One key event."""
        if code == SLEEP or (code == POWER and self.body.awake):
            self.body.sleep()
        elif code in (WAKEUP, POWER):
            self.body.wake()
        elif code in INPUTS and self.body.awake:
            self.body.input = INPUTS[code]
        elif code in KEYS:
            self.body.press(KEYS[code])
            if code == 3 and self.body.awake:  # noqa: PLR2004  HOME
                self.body.app, self.body.input = HOME_APP, "home"

    def _media(self, call: Call) -> str | tuple[str, int]:
        """`media volume …` up to Android 10, `cmd media_session volume …` from 11 on."""
        if call.words[:2] != (["cmd", "media_session"] if self.sdk >= 30 else ["media", "volume"]):  # noqa: PLR2004
            return "Error: unknown command\n", 1
        wanted = call.words[-1]
        if "--set" not in call.words:
            return f"[V] volume is {self.body.volume} in range [0..{self.body.volume_max}]\n"
        if not wanted.isdecimal() or int(wanted) > self.body.volume_max:
            return f"Error: invalid volume index. Valid values are between 0 and {self.body.volume_max}\n"
        if self.body.awake:
            self.body.volume = int(wanted)
        return f"[V] will control stream=3 (STREAM_MUSIC)\n[V] will set volume to index={wanted}\n"

    def _monkey(self, call: Call) -> str | tuple[str, int]:
        options = dict(zip(call.words[1:], call.words[2:], strict=False))
        package = options.get("-p", "")
        tv_entry = self.apps.get(package)
        if tv_entry is None or ("LEANBACK" in options.get("-c", "") and not tv_entry):
            return "** No activities found to run, monkey aborted.\n", 252
        self._show(package)
        return "Events injected: 1\n## Network stats: elapsed time=18ms\n"

    def _am(self, call: Call) -> str:
        options = dict(zip(call.words[1:], call.words[2:], strict=False))
        if call.words[1:2] == ["force-stop"]:
            return ""
        package = options.get("-n", "").partition("/")[0]
        if package and package not in self.apps:
            return "Starting: Intent { }\nError type 3\nError: Activity class does not exist.\n"
        if self.body.awake:
            text = " ".join(call.words).lower()
            self.body.input = next((name for name in INPUTS.values() if name in text), self.body.input)
        if package:
            self._show(package)
        return "Starting: Intent { }\n"

    def _show(self, package: str) -> None:
        if self.body.awake:
            self.body.app = package

    def _pm(self, _call: Call) -> str:
        return "".join(f"package:{name}\n" for name in self.apps)

    def _dumpsys(self, call: Call) -> str | tuple[str, int]:
        dumps: Mapping[str, Callable[[], str]] = {
            "power": self._power,
            "display": lambda: f"Display State:\n  mScreenState={self._screen}\n",
            "window": self._window,
            "activity": self._activity,
            "audio": self._audio,
            "media_session": lambda: "MEDIA SESSION SERVICE\n  Sessions Stack - have 0 sessions:\n",
        }
        service = call.words[1] if len(call.words) > 1 else ""
        return dumps[service]() if service in dumps else (f"Can't find service: {service}\n", 1)

    @property
    def _screen(self) -> str:
        return "ON" if self.body.awake else "OFF"

    def _power(self) -> str:
        wakefulness = "Awake" if self.body.awake else "Asleep"
        return (
            f"POWER MANAGER (dumpsys power)\n\nPower Manager State:\n  mDirty=0x0\n  mWakefulness={wakefulness}\n"
            f"  mWakefulnessChanging=false\n\nWake Locks: size=1\n\nDisplay Power: state={self._screen}\n"
        )

    def _activity(self) -> str:
        record = f"ActivityRecord{{9d6b7ad u0 {self.body.app}/.MainActivity t12}}"
        hdmi = self.body.input.removeprefix("hdmi")
        source = f"  lastStart: HDMIInputService/HW{hdmi}\n" if hdmi.isdecimal() else ""
        if self.sdk >= 30:  # noqa: PLR2004  Android 11 renamed it
            return f"  topResumedActivity={record}\n  ResumedActivity: {record}\n{source}"
        return f"  mResumedActivity: {record}\n{source}"

    def _window(self) -> str:
        app = self.body.app
        window = f"Window{{3c1a52b u0 {app}/{app}.MainActivity}}"
        record = f"ActivityRecord{{9d6b7ad u0 {app}/.MainActivity t12}}"
        if self.sdk >= 33:  # noqa: PLR2004  Android 13
            return f"  imeLayeringTarget in display# 0 {window}\n  imeInputTarget in display# 0 {window}\n"
        if self.sdk >= 31:  # noqa: PLR2004  Android 12
            return f"  mCurrentFocus={window}\n  mObscuringWindow={window}\n"
        if self.sdk == 30:  # noqa: PLR2004  Android 11
            return f"  mInputMethodTarget in display# 0 {window}\n"
        return f"  mCurrentFocus={window}\n  mFocusedApp=AppWindowToken{{61b7c4f token=Token{{ddeaee u0 {record}}}}}\n"

    def _audio(self) -> str:
        body = self.body
        muted = f"   Muted: {'true' if body.muted else 'false'}\n"
        if self.sdk < 24:  # noqa: PLR2004  before Android 7
            muted = f"   Mute count: {int(body.muted)}\n"
        music = (
            f"- STREAM_MUSIC:\n{muted}   Min: 0\n   Max: {body.volume_max}\n"
            + (f"   streamVolume:{body.volume}\n" if self.sdk >= 30 else "")  # noqa: PLR2004  Android 11
            + f"   Current: 2 (speaker): {body.volume}, 40000000 (default): 11\n   Devices: speaker\n"
        )
        ring = "- STREAM_RING:\n   Muted: true\n   Min: 0\n   Max: 7\n   Current: 2 (speaker): 3\n   Devices: speaker\n"
        return f"Stream volumes (device: index)\n{ring}{music}{ring.replace('RING', 'ALARM')}"
