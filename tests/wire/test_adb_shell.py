"""The fake Android's shell: the lines that real clients send, and lines that nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.adb import awake_projector

from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.virtual_home.android import Android

SCREEN_ON = "(dumpsys power | grep 'Display Power' | grep -q 'state=ON' || dumpsys display | grep -q 'mScreenState=ON')"
CURRENT_APP = (
    "CURRENT_APP=$(dumpsys window windows | grep -E 'mCurrentFocus|mFocusedApp') && "
    "CURRENT_APP=${CURRENT_APP#*ActivityRecord{* * } && CURRENT_APP=${CURRENT_APP#*{* * } && "
    "CURRENT_APP=${CURRENT_APP%%/*} && CURRENT_APP=${CURRENT_APP%\\}*}"
)


async def run(line: str, android: Android | None = None) -> tuple[str, int]:
    written: list[str] = []

    async def write(text: str) -> None:
        written.append(text)

    status = await (android or awake_projector(SystemClock(trusted=True))).run(line, write)
    return "".join(written), status


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ("echo a; echo 'b  c' \"d  $((1+2))\"", "a\nb  c d  3\n"),
        ("false && echo no || echo yes", "yes\n"),
        ("true || echo no; echo $?", "0\n"),
        ("! false && echo yes", "yes\n"),
        ("if [ 3 -lt 2 ]; then echo a; elif [ x = x ]; then echo b; else echo c; fi", "b\n"),
        ("x='a  b'; echo $x; echo \"$x\"", "a b\na  b\n"),
        ("(x=1; echo $x); echo _$x", "1\n_\n"),
        ("{ x=1; echo $x; }; echo _$x", "1\n_1\n"),
        ("u=12.34; echo ${u%.*} ${u#*.} ${n:-none}", "12 34 none\n"),
        ("p=a/b/c; echo ${p%%/*} ${p%/*} ${p#*/} ${p##*/} ${p/b/X}", "a a/b b/c c a/X/c\n"),
        ("echo -e '1\\c' && echo 2", "12\n"),
        ("echo no >/dev/null; echo yes 2>&1", "yes\n"),
        ("nonsense; echo $?", "sh: nonsense: not found\n127\n"),
        ("exit 3; echo no", ""),
        ("read a b </proc/uptime; [ ${a%.*} -ge 1000 ] && echo up", "up\n"),
        ("echo \"a'b\" 'c\"d'", "a'b c\"d\n"),
        (f"{SCREEN_ON} && echo -e '1\\c' || echo -e '0\\c'", "1"),
        (f"{CURRENT_APP} && echo $CURRENT_APP", "com.xgimi.home\n"),
        ("dumpsys audio | grep '\\- STREAM_MUSIC:' -A 3", "- STREAM_MUSIC:\n   Muted: false\n   Min: 0\n   Max: 30\n"),
        ("getprop ro.product.manufacturer && getprop ro.serialno", "XGIMI\nXGIMI0012345\n"),
    ],
)
async def test_lines_do_what_a_shell_does(line: str, output: str) -> None:
    assert (await run(line))[0] == output


async def test_home_assistants_power_toggle_and_app_start() -> None:
    android = awake_projector(SystemClock(trusted=True))
    app = "com.xiaodianshi.tv.yst"
    start = f"monkey -p {app} -c android.intent.category.LEANBACK_LAUNCHER --pct-syskeys 0 1"
    await run(f"{CURRENT_APP} && if [ $CURRENT_APP != '{app}' ]; then {start}; fi", android)
    assert android.body.app == app
    await run(f"{SCREEN_ON} && input keyevent 26", android)
    assert not android.body.awake


async def test_every_command_is_written_down_with_its_time() -> None:
    android = awake_projector(SystemClock(trusted=True))
    before = android.body.mono()
    await run("if true; then input keyevent 24 25; fi; echo x", android)
    ((when, command),) = android.executed
    assert command == "input keyevent 24 25"
    assert before <= when <= android.body.mono()


@pytest.mark.parametrize(
    "line", ["(", "if", "a &&", "'", '"', "$(", "${", "${x@}", "$((1/0))", "$((9**9**9))", "fi", "| |"]
)
async def test_nonsense_is_a_syntax_error(line: str) -> None:
    assert (await run(line))[1] != 0


@pytest.mark.parametrize("line", ["(" * 5000, "$(" * 5000, "${a#" * 5000, "if " * 5000, '"' * 4001, "! " * 3000])
async def test_deep_nonsense_is_a_syntax_error_too(line: str) -> None:
    assert (await run(line))[1] != 0


@settings(max_examples=300)
@given(st.text(max_size=60) | st.text(alphabet="$(){}'\"\\;|&<>#%/=! \nabif0.-", max_size=60))
async def test_no_line_makes_the_shell_raise(line: str) -> None:
    await run(line)
