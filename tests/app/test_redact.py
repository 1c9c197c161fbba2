"""One redaction table for logs, journal and diagnostics; and the brake for repeated log lines."""

from __future__ import annotations

import io
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebridge_svc.runtime.logs import JournalFormatter, OncePerKind, set_up
from homebridge_svc.runtime.redact import RedactingFormatter, Redactor


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add("s3cret/with space")
    redactor.add("ffeeddccbbaa99887766554433221100")
    return redactor


def test_known_secrets_are_hidden_wherever_they_stand(redactor: Redactor) -> None:
    assert redactor.text("miio ffeeddccbbaa99887766554433221100!") == "miio ***!"
    assert redactor.text("GET /?t=s3cret%2Fwith%20space") == "GET /?t=***"
    assert redactor.text('"s3cret/with space"') == '"***"'


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("mqtt://home:hunter2@10.0.0.1:1883 is away", "hunter2"),
        ("login with password=hunter2, again", "hunter2"),
        ('{"token": "abc", "on": true}', "abc"),
        ("bemfa api_key='0123'", "0123"),
        ("TOKEN : xyzzy", "xyzzy"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, hidden: str) -> None:
    redacted = Redactor().text(text)
    assert hidden not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    "text", ["living_room.power on", "monkey: see", "tokens 5", "http://192.168.1.2/x", "PressKeys(keys=('ok',))"]
)
def test_what_does_not_is_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


def test_json_is_hidden_by_name_and_by_value(redactor: Redactor) -> None:
    assert redactor.json(
        {
            "token": "abc",
            "Wi-Fi password": ["x"],
            "nested": [{"note": "is s3cret/with space"}],
            "watts": 3,
            "secret": None,
        }
    ) == {"token": "***", "Wi-Fi password": "***", "nested": [{"note": "is ***"}], "watts": 3, "secret": None}


def test_every_line_of_a_long_secret_is_hidden() -> None:
    redactor = Redactor()
    redactor.add("-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n")
    assert redactor.text("read MIIEvQIBADANBg") == "read ***"


def test_a_short_value_is_no_secret() -> None:
    redactor = Redactor()
    redactor.add("on")
    redactor.add("")
    assert redactor.text("turn it on") == "turn it on"


@given(
    secret=st.text(min_size=4).filter(lambda s: s.strip() == s and len(s) >= 4 and len(s.splitlines()) == 1),
    text=st.text(),
)
def test_a_known_secret_never_comes_through(secret: str, text: str) -> None:
    redactor = Redactor()
    redactor.add(secret)
    assert secret not in redactor.text(text + secret + text) or secret in "***"


def test_a_traceback_is_redacted_too(redactor: Redactor) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter(redactor, "%(message)s"))
    logger = logging.getLogger("redact.test")
    logger.addHandler(handler)
    try:
        int("s3cret/with space")
    except ValueError:
        logger.exception("with %s", "ffeeddccbbaa99887766554433221100")
    finally:
        logger.removeHandler(handler)
    assert "s3cret" not in stream.getvalue()
    assert "ffee" not in stream.getvalue()
    assert "Traceback" in stream.getvalue()


def test_the_systemd_journal_gets_priorities_on_every_line(redactor: Redactor) -> None:
    record = logging.LogRecord("pump", logging.ERROR, "", 1, "one\ntwo", None, None)
    assert JournalFormatter(redactor, "%(name)s: %(message)s").format(record) == "<3>pump: one\n<3>two"


def test_plain_lines_cost_little(redactor: Redactor) -> None:
    began = time.perf_counter()
    for _ in range(1000):
        redactor.text("living_room: power on was confirmed by 87.5 W on its plug, 11.2 s after the order had left")
    assert (time.perf_counter() - began) / 1000 < 200e-6


def test_ours_are_logged_from_the_level_up_and_libraries_from_warning(
    redactor: Redactor, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        set_up("debug", redactor, {})
        logging.getLogger("homebridge_svc.x").debug("ours")
        logging.getLogger("library").info("theirs")
        logging.getLogger("library").warning("important")
    finally:
        root.handlers, root.level = handlers, level
        logging.getLogger("homebridge_svc").setLevel(logging.NOTSET)
    written = capsys.readouterr().err
    assert "ours" in written
    assert "important" in written
    assert "theirs" not in written


def test_a_repeated_oddity_is_logged_at_powers_of_ten(caplog: pytest.LogCaptureFixture) -> None:
    odd = OncePerKind(logging.getLogger("odd"))
    for _ in range(250):
        odd("nan", "not a number from %s", "plug")
    odd("other kind", "something else")
    assert [record.getMessage() for record in caplog.records] == [
        "not a number from plug",
        "not a number from plug (10 times by now)",
        "not a number from plug (100 times by now)",
        "something else",
    ]
    assert odd.counts == {"nan": 250, "other kind": 1}


def test_invented_kinds_do_not_fill_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    odd = OncePerKind(logging.getLogger("odd"))
    for n in range(5000):
        odd(f"kind {n}", "odd")
    assert len(odd.counts) <= 1001
    assert sum(odd.counts.values()) == 5000
    assert len(caplog.records) < 1010
