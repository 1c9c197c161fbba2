"""The small programs of the fake Android's shell: echo, grep, cut, test and the like, in the forms that are used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from homebridge_svc.virtual_home.shell import Call, Command

_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}


async def echo(call: Call) -> int:
    r"""Blank-separated words; `\c` ends the output (mksh reads it with and without -e), `-n` as usual."""
    words = call.words[1:]
    end = "\n"
    while words and words[0] in ("-e", "-n", "-E"):
        end = "" if words[0] == "-n" else end
        words = words[1:]
    text, cut, _ = " ".join(words).partition("\\c")
    await call.write(text if cut else text + end)
    return 0


async def grep(call: Call) -> int:
    """`-E -e -q -v -o -i -m N -A N`, grouped or not."""
    flags = ""
    numbers = {"m": 1 << 30, "A": 0}
    pattern: str | None = None
    words = call.words[1:]
    while words:
        word = words.pop(0)
        if word == "-e" and words:
            pattern = words.pop(0)
        elif len(word) == 2 and word[0] == "-" and word[1] in numbers:  # noqa: PLR2004  a dash and a letter
            numbers[word[1]] = int(words.pop(0)) if words and words[0].isdecimal() else 0
        elif word[0:1] == "-" and pattern is None:
            flags += word[1:]
        elif pattern is None:
            pattern = word
    if pattern is None:
        return 2
    return await _grep(call, _regex(pattern, extended="E" in flags), flags, numbers)


async def _grep(call: Call, wanted: re.Pattern[str], flags: str, numbers: Mapping[str, int]) -> int:
    hits = after = 0
    for line in call.stdin.splitlines():
        found = wanted.search(line)
        hit = (found is None) if "v" in flags else (found is not None)
        if hit and hits < numbers["m"]:
            hits += 1
            after = numbers["A"]
        elif after > 0:
            after -= 1
        else:
            continue
        if "q" in flags:
            return 0
        await call.write((found[0] if "o" in flags and found else line) + "\n")
    return 0 if hits else 1


def _regex(pattern: str, *, extended: bool) -> re.Pattern[str]:
    """A grep pattern as Python's; in basic ones braces and bars are plain letters."""
    if not extended:
        pattern = re.sub(r"(?<!\\)([{}|+?()])", r"\\\1", pattern)
    try:
        return re.compile(pattern)
    except re.error:
        return re.compile(re.escape(pattern))


async def cut(call: Call) -> int:
    """`-d X -f N`, joined or not."""
    text = " ".join(call.words[1:])
    delimiter = re.search(r"-d ?(.)", text)
    number = re.search(r"-f ?(\d+)", text)
    if delimiter is None or number is None:
        return 1
    for line in call.stdin.splitlines():
        await call.write("".join(line.split(delimiter[1])[int(number[1]) - 1 : int(number[1])]) + "\n")
    return 0


async def test(call: Call) -> int:
    """`[ … ]` with ! = != -z -n and the whole-number comparisons; 2: not understood."""
    words = call.words[1:-1] if call.words[0] == "[" else call.words[1:]
    negated = words[:1] == ["!"]
    try:
        held = _holds(words[1:] if negated else words)
    except ValueError as problem:
        await call.write(f"sh: {problem}\n")
        return 2
    return int(held == negated)


def _holds(words: list[str]) -> bool:
    match words:
        case ["-z", text]:
            return text == ""
        case [] | [_] | ["-n", _]:
            return bool(words and words[-1])
        case [left, "=" | "==", right]:
            return left == right
        case [left, "!=", right]:
            return left != right
        case [left, how, right] if how in _COMPARE:
            return _COMPARE[how](int(left), int(right))
    raise ValueError("unexpected operator/operand")


async def read(call: Call) -> int:
    """The words of the first line into variables; the last one takes the rest."""
    names = call.words[1:]
    words = call.stdin.partition("\n")[0].split(maxsplit=max(0, len(names) - 1))
    call.variables.update({name: words[index] if index < len(words) else "" for index, name in enumerate(names)})
    return 0 if call.stdin else 1


async def true(_call: Call) -> int:
    """Succeed."""
    return 0


async def false(_call: Call) -> int:
    """Fail."""
    return 1


TOOLS: Mapping[str, Command] = {
    "echo": echo,
    "grep": grep,
    "cut": cut,
    "[": test,
    "test": test,
    "read": read,
    "true": true,
    ":": true,
    "false": false,
}
