"""Secrets: three places they come from, what is wrong with them, and that nothing ever shows them."""

from pathlib import Path

import pytest
from support.example_home import DRIVERS, ENVIRON, HOME, PLUG_TOKEN, SECRETS, furnish, secret_file

from homebridge_svc.config.effective import effective, values
from homebridge_svc.config.load import ConfigErrors, Problem, load


def with_token(form: str) -> str:
    return HOME.replace('token = { file = "plug_token" }', f"token = {form}")


def finding(tmp_path: Path, form: str, environ: dict[str, str] = ENVIRON) -> Problem:
    with pytest.raises(ConfigErrors) as caught:
        load(furnish(tmp_path, with_token(form)), DRIVERS, environ)
    (only,) = caught.value.errors
    assert only.path == "plugs.cinema_plug.token"
    return only


def plug_token(file: Path, environ: dict[str, str]) -> str:
    token = load(file, DRIVERS, environ).config.plugs["cinema_plug"].token  # type: ignore[attr-defined]  # its driver's
    return str(token.get_secret_value())


def test_a_secret_comes_from_the_environment(tmp_path: Path) -> None:
    file = furnish(tmp_path, with_token('{ env = "PLUG" }'))
    assert plug_token(file, ENVIRON | {"PLUG": PLUG_TOKEN}) == PLUG_TOKEN


def test_a_secret_comes_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    assert plug_token(furnish(tmp_path), ENVIRON) == PLUG_TOKEN


def test_a_secret_comes_from_a_systemd_credential_whatever_its_mode(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    secret_file(credentials / "plug", PLUG_TOKEN).chmod(0o440)  # what systemd gives with its access list
    file = furnish(tmp_path, with_token('{ credential = "plug" }'))
    assert plug_token(file, ENVIRON | {"CREDENTIALS_DIRECTORY": str(credentials)}) == PLUG_TOKEN


def test_every_resolved_secret_is_collected_for_the_redaction_of_logs(tmp_path: Path) -> None:
    loaded = load(furnish(tmp_path), DRIVERS, ENVIRON)
    assert {secret.get_secret_value() for secret in loaded.secrets} == set(SECRETS)


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    loaded = load(furnish(tmp_path), DRIVERS, ENVIRON)
    shown = f"{loaded} {loaded!r} {loaded.config!r} {effective(loaded.config)} {values(loaded.config)}"
    assert not [secret for secret in SECRETS if secret in shown]


def test_a_secret_in_clear_is_explained_and_not_repeated(tmp_path: Path) -> None:
    said = finding(tmp_path, f'"{PLUG_TOKEN}"')
    assert said.problem == "a secret stands here in clear"
    assert "0600" in said.hint
    assert "chmod 600" in said.zh
    assert PLUG_TOKEN not in f"{said} {said!r} {said.hint}"


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret_file(tmp_path / "open_token", PLUG_TOKEN).chmod(0o640)
    said = finding(tmp_path, '{ file = "open_token" }')
    assert said.problem == f"others may read {tmp_path / 'open_token'}"
    assert said.hint == f"chmod 600 {tmp_path / 'open_token'}"


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ('{ env = "NOT_SET" }', "the environment variable NOT_SET is not set"),
        ('{ file = "nowhere" }', "there is no file {base}/nowhere"),
        ('{ file = "ir" }', "others may read {base}/ir"),
        ('{ file = "empty" }', "{base}/empty is empty or not text"),
        ('{ file = "binary" }', "{base}/binary is empty or not text"),
        ('{ file = "a\\u0000b" }', "the secret's file must be a name in quotes"),
        ('{ file = "private" }', "{base}/private is not a file"),
        ('{ credential = "plug" }', "there is no credential 'plug': CREDENTIALS_DIRECTORY is not set"),
        ('{ env = "" }', "the secret's env must be a name in quotes"),
        ("{ env = 5 }", "the secret's env must be a name in quotes"),
        ('{ vault = "x" }', "a secret is given by exactly one place"),
        ('{ env = "A", file = "b" }', "a secret is given by exactly one place"),
        ("{}", "a secret is given by exactly one place"),
        ("5", "a secret is given by exactly one place"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_with_a_hint(tmp_path: Path, form: str, problem: str) -> None:
    secret_file(tmp_path / "empty", "")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "binary").chmod(0o600)
    (tmp_path / "private").mkdir(mode=0o700)
    said = finding(tmp_path, form)
    assert said.problem == problem.format(base=tmp_path)
    assert said.hint


def test_a_credential_is_a_name_not_a_path(tmp_path: Path) -> None:
    environ = ENVIRON | {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    for name in ("../shadow", "..", "/etc/shadow"):
        assert "without a path" in finding(tmp_path, f'{{ credential = "{name}" }}', environ).problem
    assert finding(tmp_path, '{ credential = "absent" }', environ).problem == "the unit has no credential 'absent'"


def test_a_syntax_error_in_the_line_of_a_secret_does_not_show_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(furnish(tmp_path, f'version = 1\n[web]\ntoken = "{PLUG_TOKEN}\n'), DRIVERS, ENVIRON)
    assert "line 3" in str(caught.value)
    assert PLUG_TOKEN not in str(caught.value)


def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    file = furnish(tmp_path, HOME.replace("homebridge@", "homebridge:hunter2@"))
    with pytest.raises(ConfigErrors) as caught:
        load(file, DRIVERS, ENVIRON)
    (only,) = caught.value.errors
    assert (only.path, only.problem) == ("mqtt.url", "the password does not belong into the address")
    assert "hunter2" not in str(caught.value)
