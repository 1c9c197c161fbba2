"""Verdicts on this machine, for `doctor`: clock, state directory, the page's address, the line to the broker."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from homebridge_svc.cli import findings
from homebridge_svc.cli.evidence import Situation
from homebridge_svc.cli.findings import Advice, Finding, advice, bad, note, ok
from homebridge_svc.core.model import Now

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def of_this_machine(where: Situation, now: Now) -> Iterator[Finding]:
    """Clock, state directory, page, broker."""
    yield _clock(where, now)
    yield _state(where.state_dir)
    yield _web(where)
    if where.loaded.config.mqtt is not None:
        yield _broker(where)


def _clock(where: Situation, now: Now) -> Finding:
    if now.synced:
        return ok("clock", f"{now.utc:%Y-%m-%d %H:%M:%S} UTC, synchronised", "时间已同步")
    sentence = "not synchronised: nothing starts by itself until it is", "时间未同步：定时任务都不会启动"
    scheduled = any(pump.schedule for pump in where.loaded.config.pumps.values())
    return bad("clock", *sentence, findings.NO_TIME) if scheduled else note("clock", *sentence, findings.NO_TIME)


def _state(directory: Path) -> Finding:
    thing = "state directory"
    there = directory if directory.exists() else directory.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        hint = Advice(
            f"chown it to the user that runs the daemon, or run doctor as that user: ls -ld {there}",
            f"请改成运行服务的用户所有，或用该用户运行诊断：ls -ld {there}",
        )
        return bad(thing, f"{there} cannot be written by this user", f"当前用户不能写 {there}", hint)
    if there is directory and directory.stat().st_mode & OTHERS:
        chmod = Advice(f"chmod 700 {directory}", f"执行 chmod 700 {directory}")
        return note(thing, f"others may look into {directory}", "别的用户也能看到状态目录", chmod)
    return ok(thing, f"{directory} can be written", "状态目录可写")


def _web(where: Situation) -> Finding:
    web, page = where.loaded.config.web, where.page
    match page.health:
        case "ok":
            return ok("page", f"a daemon runs and answers at {web.listen}", "服务正在运行，网页可用")
        case "stalled":
            hint = Advice(
                "systemctl restart homebridge-svc; its log says more", "执行 systemctl restart homebridge-svc"
            )
            return bad("page", "a daemon answers, but its engine stands still", "服务在运行但已卡住", hint)
    problem = _cannot_listen(web.host, web.port)
    if problem is None and page.health is None:
        return ok("page", f"{web.listen} is free; no daemon runs", "端口空闲，服务没有运行")
    hint = Advice(
        f"ss -ltnp | grep {web.port} shows who has the port; or give listen another address",
        f"用 ss -ltnp | grep {web.port} 看是谁占用了端口，或者改 listen",
    )
    return bad(
        "page", f"{web.listen} is not to be had: {problem or 'another program answers there'}", "网页端口不可用", hint
    )


def _cannot_listen(host: str, port: int) -> str | None:
    """Why nobody can listen there; None: the address is free."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as problem:
            return problem.strerror
    return None


def _broker(where: Situation) -> Finding:
    mqtt = where.loaded.config.mqtt
    up, why = where.evidence.line
    if up or mqtt is None:
        return ok("mqtt", "the broker took us", "已连上 broker")
    return bad("mqtt", why, "连不上 broker", advice("embedded" if mqtt.embedded else "mqtt", why))
