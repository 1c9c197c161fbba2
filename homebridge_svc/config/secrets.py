"""Secrets never stand in the configuration in clear: it says where they are.

    token = { env = "X" }              an environment variable
    token = { file = "web_token" }     a file beside the configuration, readable by its owner only (mode 0600)
    token = { credential = "name" }    LoadCredential= of the systemd unit, a file in $CREDENTIALS_DIRECTORY

White space around the value (the newline that every editor adds) is not part of it. Every value that was resolved is
collected in the context, so that the redaction of logs knows all of them.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from homebridge_svc.config.context import Context, context_of
from homebridge_svc.config.problems import wrong

LONGEST = 65_536  # bytes; larger files are something else
OTHERS = stat.S_IRWXG | stat.S_IRWXO
FORMS = '{ env = "NAME" }, { file = "path" } or { credential = "name" }'
SHOWN = "***"


def _resolve(value: object, info: ValidationInfo) -> object:
    context = context_of(info)
    if context is None or isinstance(value, SecretStr):
        return value
    if isinstance(value, str):
        raise wrong(
            "a secret stands here in clear",
            f"put it into a file with mode 0600 and write {FORMS}; if others have seen this file, change the secret",
            '密钥不要明文写在配置里：放进单独的文件（chmod 600），这里写 { file = "文件名" }',
        )
    if not isinstance(value, Mapping) or len(value) != 1:
        raise wrong("a secret is given by exactly one place", f"write {FORMS}")
    ((form, name),) = value.items()
    read = _FORMS.get(str(form))
    if read is None:
        raise wrong("a secret is given by exactly one place", f"write {FORMS}")
    if not isinstance(name, str) or not name or "\0" in name:
        raise wrong(f"the secret's {form} must be a name in quotes", f"write {FORMS}")
    secret = SecretStr(read(name, context))
    context.secrets.append(secret)
    return secret


def _from_env(name: str, context: Context) -> str:
    value = context.environ.get(name, "").strip()
    if not value:
        raise wrong(
            f"the environment variable {name} is not set",
            f"set {name} where this program starts (systemd: EnvironmentFile=), or use {{ file = … }}",
            f"环境变量 {name} 没有设置",
        )
    return value


def _from_file(name: str, context: Context) -> str:
    path = context.base / name
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _unreadable(path, error, f"create it: umask 077; nano {path}") from None
    if mode & OTHERS:
        raise wrong(f"others may read {path}", f"chmod 600 {path}", f"别人也能读这个文件，请执行：chmod 600 {path}")
    return _read(path)


def _from_credential(name: str, context: Context) -> str:
    directory = context.environ.get("CREDENTIALS_DIRECTORY")
    hint = f"credentials exist only inside the systemd unit: LoadCredential={name}:/path/of/the/secret"
    if not directory:
        raise wrong(f"there is no credential {name!r}: CREDENTIALS_DIRECTORY is not set", hint)
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or name in {".", ".."}:
        raise wrong("a credential is given by its name, without a path", hint)
    path = Path(directory) / name
    if not path.exists():
        raise wrong(f"the unit has no credential {name!r}", hint)
    return _read(path)


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            raise wrong(f"{path} is not a file", "name the file that holds the secret")
        with path.open("rb") as file:
            value = file.read(LONGEST + 1)
    except OSError as error:
        raise _unreadable(path, error, f"it must belong to the user that runs this program: ls -l {path}") from None
    try:
        text = value.decode().strip() if len(value) <= LONGEST else ""
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise wrong(f"{path} is empty or not text", "the file holds the secret and nothing else, as UTF-8 text")
    return text


def _unreadable(path: Path, error: OSError, hint: str) -> PydanticCustomError:
    if isinstance(error, FileNotFoundError):
        return wrong(f"there is no file {path}", hint, f"找不到文件 {path}")
    return wrong(f"{path} cannot be read: {error.strerror}", hint, f"无法读取 {path}")


_FORMS: dict[str, Callable[[str, Context], str]] = {
    "env": _from_env,
    "file": _from_file,
    "credential": _from_credential,
}

Secret = Annotated[SecretStr, BeforeValidator(_resolve), PlainSerializer(lambda _: SHOWN)]
