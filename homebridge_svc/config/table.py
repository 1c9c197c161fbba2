"""What every table of the file has in common: unknown keys are errors, findings are sentences, text is tidy.

A driver table (`driver = "…"` plus the options of that driver) is validated by a class made of both: the keys that
every table of its kind has, and the driver's Options. So one object is both, and all its findings come at once.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Annotated, Self, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from homebridge_svc.config.context import context_of
from homebridge_svc.config.problems import kind_of, one_of, quoted, translate, wrong

NAME_LENGTH = 64
RESERVED = frozenset({"status", "event", "announce", "link", "say"})  # they would make our own topics (rule 22)
_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def keys(cls, _info: ValidationInfo) -> list[str]:
        """Give the keys that may stand here, as the file writes them."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @model_validator(mode="wrap")
    @classmethod
    def _speak(cls, data: object, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        try:
            return handler(data)
        except ValidationError as errors:
            lines = [cls._sentence(error, info) for error in errors.errors(include_url=False)]
        raise ValidationError.from_exception_data(cls.__name__, lines, hide_input=True)

    @classmethod
    def _sentence(cls, error: ErrorDetails, info: ValidationInfo) -> InitErrorDetails:
        sentence = translate(error, cls.keys(info))
        said = sentence.context or {}
        described = cls._description(error["loc"][0]) if len(error["loc"]) == 1 else None
        if described and (error["type"] == "missing" or not said["hint"]):
            sentence = wrong(said["problem"], described, said["zh"])
        return InitErrorDetails(type=sentence, loc=error["loc"], input=None)

    @classmethod
    def _description(cls, key: int | str) -> str | None:
        fields = cls.model_fields.items()
        return next((field.description for name, field in fields if key == (field.alias or name)), None)


T = TypeVar("T", bound=Table)


def at(key: str, problem: PydanticCustomError) -> ValidationError:
    """Make what a table's validator raises when it is one key of it that is wrong."""
    return ValidationError.from_exception_data(
        key, [InitErrorDetails(type=problem, loc=(key,), input=None)], hide_input=True
    )


@functools.cache
def _both(options: type[BaseModel], common: type[T]) -> type[T]:
    """Make the class that is a driver's options and a table of its kind at once; the driver's fields win."""
    return cast("type[T]", create_model(options.__name__, __base__=(options, common), __module__=options.__module__))


def compose(kind: str, driver: str, common: type[T], value: object, info: ValidationInfo) -> T:
    """Validate `value` as the table of `driver`. Raises ValidationError, or PydanticCustomError for no such driver."""
    context = context_of(info)
    if isinstance(value, common):
        return value
    options = context.drivers.get(kind, {}).get(driver) if context is not None else None
    if options is None:
        raise one_of(driver, context.drivers.get(kind, {}) if context is not None else ())
    table: T = _both(options, common).model_validate(value, context=context)
    return table


def driven(kind: str, common: type[T]) -> PlainValidator:
    """Validate a table with `driver = "…"` among the drivers of `kind`."""

    def read(value: object, info: ValidationInfo) -> object:
        if isinstance(value, common):
            return value
        context = context_of(info)
        drivers = context.drivers.get(kind, {}) if context is not None else {}
        if not isinstance(value, dict):
            raise wrong(f"must be a table, not {kind_of(value)}", f'with driver = "…", one of: {", ".join(drivers)}')
        driver = value.get("driver")
        if driver is None:
            problem = wrong("is missing", f"one of: {', '.join(drivers)}", f"缺少 driver，可选：{'、'.join(drivers)}")
        elif not isinstance(driver, str) or driver not in drivers:
            problem = one_of(driver, drivers)
        else:
            return compose(kind, driver, common, value, info)
        raise at("driver", problem)

    return PlainValidator(read)


def _tidy(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).strip()
    if not text or len(text) > NAME_LENGTH or any(unicodedata.category(char).startswith("C") for char in text):
        raise wrong(
            f"must be a name of 1 to {NAME_LENGTH} printable characters",
            "name it as you call it",
            "名字要 1 到 64 个字",
        )
    return text


def _check_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        hint = "small letters, digits and _, beginning with a letter; the Chinese name goes into name = "
        raise wrong(
            f"{quoted(key)} cannot be a key", hint, "只能用小写字母、数字和下划线，字母开头；中文名写在 name 里"
        )
    if key in RESERVED:
        raise wrong(f"{quoted(key)} is taken by this program's own topics", "choose another key", "这个名字是保留的")
    return key


Key = Annotated[str, AfterValidator(_check_key)]
Name = Annotated[str, AfterValidator(_tidy)]
