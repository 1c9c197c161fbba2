"""Both READMEs say what is true: their configurations pass, their commands parse, their tables and links are right."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from support.broker import RestartableBroker, eventually, needs_broker, real_broker
from support.example_home import secret_file
from support.home_assistant import HomeAssistant, needs_home_assistant
from typer.testing import CliRunner, Result

from homebridge_svc import web
from homebridge_svc.app import drivers
from homebridge_svc.cli import COMMANDS, app
from homebridge_svc.config.load import load
from homebridge_svc.config.model import Config
from homebridge_svc.core.commands import parse, parse_line
from homebridge_svc.core.intents import SelectInput
from homebridge_svc.virtual_home import scenario

ROOT = Path(__file__).parents[2]
FILES = ("README.md", "README.zh-CN.md")
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in FILES}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LARGEST_PICTURE = 200_000  # bytes
SPEAKER, HELPER = "sensor.xiaomi_lx06_xxxx_conversation", "switch.movie_helper"  # as the automations name them

each = pytest.mark.parametrize("name", FILES)


def blocks(name: str, language: str) -> list[str]:
    return [text for found, text in FENCE.findall(TEXTS[name]) if found == language]


def prose(name: str) -> str:
    return FENCE.sub("", TEXTS[name])


def headings(name: str) -> list[tuple[int, str]]:
    return [(len(marks), text) for marks, text in re.findall(r"^(#+) (.+)$", prose(name), re.MULTILINE)]


def tables(name: str) -> list[str]:
    return re.findall(r"(?:^\|.*\n)+", prose(name), re.MULTILINE)


def configurations(name: str) -> list[str]:
    """Whole files, and each addition together with the first whole file."""
    found = blocks(name, "toml")
    whole = [text for text in found if text.startswith("version = 1")]
    return whole + [whole[0] + text for text in found if text not in whole]


def furnished(directory: Path, text: str) -> Path:
    """The file with the secrets and codes that it names."""
    for secret in re.findall(r'\{ file = "(\w+)" \}', text):
        secret_file(directory / secret, "0123456789abcdef0123456789abcdef")
    for codes in re.findall(r'codes = "([\w./]+)"', text):
        (directory / codes).parent.mkdir(exist_ok=True)
        (directory / codes).write_bytes((ROOT / "config" / codes).read_bytes())
    (directory / "homebridge.toml").write_text(text)
    return directory / "homebridge.toml"


def configuration(directory: Path, name: str = FILES[0]) -> Config:
    """The first example, as the daemon reads it."""
    return load(furnished(directory, configurations(name)[0]), drivers()).config


def lines_of_commands(name: str) -> list[str]:
    """Every command line that a reader may type, without sudo and redirection; comments are none."""
    typed = [line for block in blocks(name, "sh") for line in block.splitlines()]
    typed += re.findall(r"`((?:homebridge-svc|scripts/\w+) [^`]+)`", prose(name))
    return [line.removeprefix("sudo ").partition(" > ")[0] for line in typed]


def ours(line: str) -> list[str] | None:
    """The arguments of homebridge-svc, if the line is one of it or of scripts/demo."""
    program, *words = line.split()
    match program:
        case "homebridge-svc":
            return words
        case "scripts/demo":
            return ["demo", *words]
        case _:
            return None


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@each
def test_every_configuration_is_right(name: str, tmp_path: Path) -> None:
    assert len(configurations(name)) >= 4
    for number, text in enumerate(configurations(name)):
        home = tmp_path / str(number)
        home.mkdir()
        result = invoke("check", "-c", str(furnished(home, text)))
        assert result.exit_code == 0, result.output


@each
def test_phrases_name_inputs_that_are_there(name: str, tmp_path: Path) -> None:
    config = configuration(tmp_path, name)
    wishes = [parse_line(command) for commands in config.phrases.values() for command in commands]
    for key, wish in wishes:
        if isinstance(wish, SelectInput):
            inputs = config.projectors[key].inputs
            assert wish.name in {*inputs, *inputs.values()}


@each
def test_every_command_is_known_with_its_options(name: str) -> None:
    commands = [words for line in lines_of_commands(name) if (words := ours(line)) is not None]
    assert {words[0] for words in commands} == set(COMMANDS)
    for words in commands:
        result = invoke(*words, "--help")
        assert result.exit_code == 0, (words, result.output)
        if "--scenario" in words:
            assert words[words.index("--scenario") + 1] in scenario.names()


@each
def test_commands_that_need_nothing_outside_do_what_is_said(name: str, tmp_path: Path) -> None:
    assert "scripts/demo --list" in lines_of_commands(name)
    listed = invoke("demo", "--list")
    assert listed.exit_code == 0
    assert "evening" in listed.output
    assert "homebridge-svc check -c homebridge.toml --effective" in lines_of_commands(name)
    shown = invoke("check", "-c", str(furnished(tmp_path, configurations(name)[0])), "--effective")
    assert shown.exit_code == 0, shown.output
    assert tomllib.loads(shown.output)["pumps"]["bathroom"]["max_run"] == "5m"


@each
def test_scripts_that_are_named_are_there(name: str) -> None:
    for script in set(re.findall(r"(?:scripts|deploy)/[\w.-]+(?=[ `\n])", TEXTS[name])):
        assert (ROOT / script).stat().st_mode & 0o100, script


@each
def test_every_command_of_the_language_is_understood(name: str) -> None:
    table = next(table for table in tables(name) if "| `power on` · `power off` |" in table)
    texts = [text for row in table.splitlines() for text in re.findall(r"`([^`]+)`", row.split("|")[2])]
    for text in texts:
        parse(text)
    verbs = {text.split()[0] for text in texts}
    assert verbs == {"power", "volume", "mute", "input", "app", "key", "run", "stop", "reset", "on", "off"}


@each
def test_links_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(name)) + re.findall(r'src="([^"]+)"', prose(name))
    anchors = {re.sub(r"[^\w\s-]", "", text.lower()).replace(" ", "-") for _, text in headings(name)}
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("https://"):
            assert (ROOT / target).exists(), target


@each
def test_pictures_are_small(name: str) -> None:
    pictures = re.findall(r'src="(docs/[^"]+\.png)"', TEXTS[name])
    assert len(pictures) == 2
    for picture in pictures:
        data = (ROOT / picture).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) <= LARGEST_PICTURE


@each
def test_every_dependency_has_its_reason(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["demo"]]
    for requirement in wanted:
        package = re.split(r"[\[<>=~]", requirement)[0]
        assert re.search(rf"^\| [^|]*\b{package}\b", TEXTS[name], re.MULTILINE), package


@each
def test_every_request_has_a_route(name: str) -> None:
    folder = Path(web.__path__[0])
    sources = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    asked = re.findall(r"`(GET|POST) (/[^`]*)`", TEXTS[name])
    assert len(asked) >= 10
    for method, path in asked:
        route = rf'(web\.|add_){method.lower()}\("{re.sub("<[a-z]+>", "{[a-z]+}", path)}"'
        assert re.search(route, sources), f"{method} {path}"


@each
def test_home_assistant_publishes_what_the_configuration_hears(name: str, tmp_path: Path) -> None:
    config = configuration(tmp_path, name)
    topics = {getattr(voice, "topic", None) for voice in config.voice}
    automations = yaml.safe_load(blocks(name, "yaml")[0])
    for automation in automations:
        sent = automation["actions"][0]
        assert sent["action"] == "mqtt.publish"
        assert sent["data"]["topic"] in topics
    listed = set(re.findall(r"'([^']+)'", automations[0]["conditions"][0]))
    assert listed == set(config.phrases)
    assert automations[1]["actions"][0]["data"]["payload"] in config.phrases


def test_the_generated_tables_are_up_to_date() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "readme-tables"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "part",
    [
        lambda name: [level for level, _ in headings(name)],
        lambda name: [tomllib.loads(text) for text in blocks(name, "toml")],
        lambda name: [yaml.safe_load(text) for text in blocks(name, "yaml")],
        lambda name: blocks(name, "sh") + blocks(name, ""),
        lambda name: sorted(lines_of_commands(name)),
        lambda name: [len(table.splitlines()) for table in tables(name)],
        lambda name: [
            len(items.splitlines()) for items in re.findall(r"(?:^(?:\*|\d\.) .*\n(?:  .*\n)*)+", prose(name))
        ],
        lambda name: sorted(re.findall(r"\]\(((?!README|#)[^)\s]+)\)", prose(name))),
    ],
    ids=["headings", "configurations", "automations", "shell", "commands", "tables", "lists", "links"],
)
def test_both_languages_say_the_same(part: Callable[[str], object]) -> None:
    assert part(FILES[0]) == part(FILES[1])


class WithAutomations(HomeAssistant):
    """A Home Assistant that has the README's automations."""

    def _prepare(self) -> None:
        super()._prepare()
        with (self._directory / "configuration.yaml").open("a", encoding="utf-8") as file:
            file.write("automation: !include automations.yaml\n")
        (self._directory / "automations.yaml").write_text(blocks(FILES[0], "yaml")[0], encoding="utf-8")


@pytest.mark.peer
@pytest.mark.slow
@needs_broker
@needs_home_assistant
async def test_the_automations_work_in_a_real_home_assistant(tmp_path: Path) -> None:
    """Known sentences that were just said go out once each; old and unknown ones do not; a scene's helper is reset."""
    async with real_broker(tmp_path) as broker, broker.overheard("#") as heard:
        home_assistant = WithAutomations(tmp_path, broker.port)

        async def show(topic: str, entity: str, state: str) -> None:
            await broker.say(topic, state.upper() if topic == "helper/state" else state, retain=True)
            await eventually(lambda: home_assistant.states.get(entity, {}).get("state") == state, state, within=20)

        async def said(sentence: str, at: int) -> None:
            await show("speaker/state", SPEAKER, sentence)
            await broker.say("speaker/more", json.dumps({"timestamp": datetime.fromtimestamp(at, UTC).isoformat()}))

        try:
            await home_assistant.start()
            await discovered(
                broker, "sensor", SPEAKER, state_topic="speaker/state", json_attributes_topic="speaker/more"
            )
            await discovered(broker, "switch", HELPER, state_topic="helper/state", command_topic="helper/set")
            now = int(datetime.now(UTC).timestamp())
            await said("今天天气怎么样", now)
            await said("我要洗澡", now - 100)
            await said("停热水", now + 1)
            await show("helper/state", HELPER, "off")
            await show("helper/state", HELPER, "on")
            await eventually(lambda: ("helper/set", "OFF", False) in heard, "the helper is reset")
        finally:
            await home_assistant.stop()
    payloads = [payload for topic, payload, _ in heard if topic == "xiaoai/scene"]
    assert json.loads(payloads[0]) == {"phrase": "停热水", "id": f"xiaoai-{now + 1}"}
    assert payloads[1:] == ["看电影"]


async def discovered(broker: RestartableBroker, kind: str, entity: str, **topics: str) -> None:
    """Give Home Assistant over MQTT what Xiaomi's integrations would give it."""
    name = entity.partition(".")[2]
    config = {"name": name, "object_id": name, "unique_id": name, **topics}
    await broker.say(f"homeassistant/{kind}/{name}/config", json.dumps(config), retain=True)
