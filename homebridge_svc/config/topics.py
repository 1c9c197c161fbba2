"""MQTT topics as an owner writes them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from homebridge_svc.config.problems import quoted, wrong

_TOPIC = re.compile(r"[^+#$\x00-\x1f/][^+#$\x00-\x1f]*(?<!/)")  # no wildcards, system tree, control characters


def _read_topic(value: str) -> str:
    if not _TOPIC.fullmatch(value):
        raise wrong(
            f"{quoted(value)} is not one topic",
            "no + # $, and no / at either end",
            "要写一个具体的主题，不能有 + # $，两端不能有 /",
        )
    return value


Topic = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_read_topic)]
