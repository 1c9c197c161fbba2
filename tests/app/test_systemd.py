"""What the service manager hears, on a real socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from homebridge_svc.runtime.systemd import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_it_hears_every_word(tmp_path: Path, abstract: bool) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"@homebridge-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
        manager.bind(name.replace("@", "\0", 1) if abstract else name)
        manager.settimeout(5)
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": name})
        notifier.ready()
        notifier.status("two\nlines 热水")
        notifier.watchdog()
        notifier.stopping()
        assert [manager.recv(1000).decode() for _ in range(4)] == [
            "READY=1", "STATUS=two lines 热水", "WATCHDOG=1", "STOPPING=1",
        ]  # fmt: skip


def test_nobody_listens_and_nothing_happens(tmp_path: Path) -> None:
    Notifier.from_environment({}).ready()
    Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "gone")}).watchdog()


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "nonsense"}, None),
    ],
)
def test_the_watchdog_is_petted_twice_per_limit(environ: dict[str, str], interval: float | None) -> None:
    assert Notifier.from_environment(environ).watchdog_s == interval
