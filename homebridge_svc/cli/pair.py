"""`pair adb`: makes our ADB key and has a person accept it on the projector's screen."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from homebridge_svc.errors import DeviceError
from homebridge_svc.runtime.adb_session import Peer, connect, load_signer, make_key
from homebridge_svc.wire.android import Greeting

ASK_S = 60.0  # real seconds that a person has to accept
CONNECT_S = 5.0  # real seconds for everything that needs no person

ON_THE_SCREEN = """\
Look at the projector. If it asks whether to allow USB debugging: tick "Always allow from this computer", then OK.
Without the tick Android forgets the key after 7 days without use.
请看投影画面。如果出现「允许 USB 调试吗？」：先勾选「一律允许使用这台计算机进行调试」，再点「确定」。
不勾选的话，7 天不用，系统就会忘掉这把钥匙。"""
HOW_TO_MEND = """\
Is the projector on, and is "network debugging" (ADB, port 5555) switched on in its developer options?
投影开着吗？开发者选项里的「网络 ADB 调试」（端口 5555）打开了吗？"""

pair = typer.Typer(no_args_is_help=True, help="Pair with a device, once.")


@pair.callback()
def _pair() -> None:
    """Keep `adb` a command of its own: `pair` alone does nothing."""


async def pair_adb(
    host: str, port: int, key_path: Path, *, say: Callable[[str], None], ask_seconds: float = ASK_S
) -> Greeting:
    """Make the key if there is none (mode 0600), connect, wait for the person; who answered.

    Raises Unreachable, Refused, OSError (the key cannot be written).
    """
    if not await asyncio.to_thread(key_path.exists):
        await asyncio.to_thread(make_key, key_path, "homebridge-svc")
        say(f"made a new key: {key_path}")
    signer = await load_signer(key_path)
    say(ON_THE_SCREEN)
    mono = asyncio.get_running_loop().time
    session = await connect(Peer(host, port, signer, mono), within=CONNECT_S, ask_person=ask_seconds)
    try:
        return await session.greet(within=CONNECT_S)
    finally:
        session.close()


@pair.command("adb")
def adb(
    host: Annotated[str, typer.Argument(help="the projector's address")],
    port: Annotated[int, typer.Option(help="its ADB port", min=1, max=65535)] = 5555,
    config: Annotated[
        Path | None, typer.Option("-c", "--config", metavar="FILE", help="the key goes to `state` beside this file")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="PATH", help="the private key's file, if not there")] = None,
    state_dir: Annotated[Path | None, typer.Option(envvar="STATE_DIRECTORY", help="where the key goes")] = None,
) -> None:
    """Pair with a projector over ADB: somebody stands in front of it and accepts.

    Exit code 0: paired. 1: not.

    Example: homebridge-svc pair adb 192.168.1.20 -c /etc/homebridge_svc/homebridge.toml
    """
    where = state_dir or (config.parent / "state" if config else None)
    if key is None and where is None:
        raise typer.BadParameter("say where the key goes: -c FILE or --key PATH")
    key_path = key or Path(os.fspath(where or "")) / "adbkey"
    try:
        greeting = asyncio.run(pair_adb(host, port, key_path, say=typer.echo))
    except (DeviceError, OSError) as problem:
        typer.echo(f"not paired: {problem}\n{HOW_TO_MEND}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"paired with {host}: serial {greeting.serial} · 配对成功")
