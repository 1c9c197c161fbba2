"""The command `check`: what it prints, and its exit code."""

import json
from pathlib import Path

import pytest
import typer
from support.example_home import DRIVERS, HOME, MQTT_PASSWORD, SECRETS, furnish
from typer.testing import CliRunner

from homebridge_svc.cli.check import check, report

WRONG = HOME.replace("version = 1", "version = 2").replace('max_run = "5m"', "max_run = 5")


@pytest.fixture(autouse=True)
def broker_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", MQTT_PASSWORD)


def test_a_good_file_ends_with_0_and_a_list_of_devices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(furnish(tmp_path), DRIVERS, effective=False, as_json=False) == 0
    out = capsys.readouterr().out
    assert "home.toml is right" in out
    assert all(word in out for word in ("living_room", "客厅投影", "adb", "bathroom", "热水", "return_temperature"))


def test_a_wrong_file_ends_with_2_and_all_errors_in_both_languages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(furnish(tmp_path, WRONG), DRIVERS, effective=False, as_json=False) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "2 errors" in shown.err
    assert "pumps.bathroom.max_run  5 has no unit" in shown.err
    assert '→ 时长要带单位并加引号，例如 "30s" 或 "5m"' in shown.err


def test_errors_are_data_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(furnish(tmp_path, WRONG), DRIVERS, effective=False, as_json=True) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert [error["path"] for error in said["errors"]] == ["version", "pumps.bathroom.max_run"]
    assert all(error["hint"] for error in said["errors"])


def test_effective_values_are_text_or_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = furnish(tmp_path)
    assert report(file, DRIVERS, effective=True, as_json=False) == 0
    text = capsys.readouterr().out
    assert report(file, DRIVERS, effective=True, as_json=True) == 0
    data = json.loads(capsys.readouterr().out)["effective"]
    assert 'rest = "10m"' in text
    assert data["pumps"]["bathroom"]["rest"] == "10m"
    assert data["projectors"]["living_room"]["power_off"] == ["udp", "adb", "ir"]
    assert not [secret for secret in SECRETS if secret in f"{text}{data}"]


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(check)
    app.command("other")(lambda: None)  # with a single command, typer would drop its name
    return app


def test_help_has_an_example(command: typer.Typer) -> None:
    result = CliRunner().invoke(command, ["check", "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert "homebridge-svc check -c" in result.output


def test_a_missing_file_ends_with_2(command: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["check", "-c", str(tmp_path / "absent.toml")])
    assert result.exit_code == 2
    assert "there is no such file" in result.output
