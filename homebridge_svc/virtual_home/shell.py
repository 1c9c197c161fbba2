"""A small shell for the fake Android: runs a command line on commands given as Python coroutines.

Expanded are `NAME=word`, `$x ${x} ${x:-w} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/w} $? $(…) $((…))`, both quotes and
the backslash; unquoted expansions fall apart at blanks. Nothing that it runs exists outside the emulator.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from homebridge_svc.virtual_home.shell_parser import (
    MAX_DEPTH,
    Chain,
    Group,
    If,
    Node,
    Pipeline,
    ShellError,
    Simple,
    parse,
    skip,
)

Write: TypeAlias = Callable[[str], Awaitable[None]]
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_ARITHMETIC: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


class _Exit(Exception):  # noqa: N818  leaves the line, not an error
    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(slots=True)
class Call:
    """What a command is given: its expanded words, its input, where it writes, the shell's variables."""

    words: list[str]
    stdin: str
    write: Write
    variables: dict[str, str]


Command: TypeAlias = Callable[[Call], Awaitable[int]]


@dataclass(slots=True)
class Shell:
    """Runs lines. commands: by name; files: what `<` and `cat` find; missing: what happens with an unknown name."""

    commands: Mapping[str, Command]
    files: Callable[[str], str | None]
    variables: dict[str, str] = field(default_factory=dict)
    status: int = 0

    async def run(self, line: str, write: Write) -> int:
        """Run one line, writing its output as it comes; returns its exit status. Never raises ShellError."""
        try:
            self.status = await self._run(parse(line), "", write)
        except _Exit as leave:
            self.status = leave.status
        except ShellError as problem:
            await write(f"sh: {problem}\n")
            self.status = 2
        return self.status

    async def _run(self, node: Node, stdin: str, write: Write) -> int:
        match node:
            case Simple():
                self.status = await self._simple(node, stdin, write)
            case Pipeline(parts, negated):
                for part in parts[:-1]:
                    collected: list[str] = []
                    await self._run(part, stdin, _collector(collected))
                    stdin = "".join(collected)
                status = await self._run(parts[-1], stdin, write)
                self.status = int(not status) if negated else status
            case Chain(first, rest):
                await self._run(first, stdin, write)
                for joint, following in rest:
                    if joint == ";" or (joint == "&&") == (self.status == 0):
                        await self._run(following, stdin, write)
            case If(branches, otherwise):
                await self._choose(branches, otherwise, stdin, write)
            case Group(body, own_variables):
                kept = dict(self.variables)
                await self._run(body, stdin, write)
                if own_variables:
                    self.variables = kept
        return self.status

    async def _choose(
        self, branches: tuple[tuple[Node, Node], ...], otherwise: Node | None, stdin: str, write: Write
    ) -> None:
        for condition, body in branches:
            if await self._run(condition, stdin, write) == 0:
                await self._run(body, stdin, write)
                return
        self.status = 0
        if otherwise is not None:
            await self._run(otherwise, stdin, write)

    async def _simple(self, node: Simple, stdin: str, write: Write) -> int:
        raw = list(node.words)
        assigned: dict[str, str] = {}
        status = 0
        while raw and (found := _ASSIGNMENT.fullmatch(raw[0])):
            assigned[found[1]] = "".join(await self._expand(found[2], split=False))
            status = self.status if "$(" in found[2] else 0
            raw.pop(0)
        if not raw:
            self.variables.update(assigned)
            return status
        words = [word for text in raw for word in await self._expand(text, split=True)]
        if node.source is not None:
            name = "".join(await self._expand(node.source, split=False))
            content = self.files(name)
            if content is None:
                await write(f"sh: {name}: No such file or directory\n")
                return 1
            stdin = content
        if not words:
            return 0
        if words[0] == "exit":
            raise _Exit(int(words[1]) & 255 if len(words) > 1 and words[1].isdecimal() else self.status)
        command = self.commands.get(words[0])
        if command is None:
            await write(f"sh: {words[0]}: not found\n")
            return 127
        return await command(Call(words, stdin, _nowhere if node.silent else write, self.variables))

    async def _expand(self, raw: str, *, split: bool) -> list[str]:
        """One raw word as the words it becomes: unquoted expansions fall apart at blanks when `split`."""
        words: list[str] = []
        current: str | None = None
        at = 0
        while at < len(raw):
            end = skip(raw, at)
            piece = raw[at:end]
            if piece[0] == "'":
                current = (current or "") + piece[1:-1]
            elif piece[0] == "\\":
                current = (current or "") + piece[1:]
            elif piece[0] == '"':
                current = (current or "") + await self._quoted(piece[1:-1])
            elif piece[0] == "$":
                end, value = await self._dollar(raw, at)
                fields = value.split() if split else [value]
                if split and value[:1].isspace() and current is not None:
                    words.append(current)
                    current = None
                for index, text in enumerate(fields):
                    if index and current is not None:
                        words.append(current)
                        current = None
                    current = (current or "") + text
            else:
                current = (current or "") + piece
            at = end
        return words if current is None else [*words, current]

    async def _quoted(self, text: str) -> str:
        out: list[str] = []
        at = 0
        while at < len(text):
            if text[at] == "\\" and text[at + 1 : at + 2] in ("$", '"', "\\", "`"):
                out.append(text[at + 1])
                at += 2
            elif text[at] == "$":
                at, value = await self._dollar(text, at)
                out.append(value)
            else:
                out.append(text[at])
                at += 1
        return "".join(out)

    async def _dollar(self, text: str, at: int) -> tuple[int, str]:
        """(index after it, value) of the expansion that begins at `at`."""
        end = skip(text, at)
        if text.startswith("$((", at):
            return end, str(arithmetic(await self._quoted(text[at + 3 : end - 2])))
        if text.startswith("$(", at):
            collected: list[str] = []
            kept = dict(self.variables)
            await self._run(parse(text[at + 2 : end - 1]), "", _collector(collected))
            self.variables = kept
            return end, "".join(collected).rstrip("\n")
        if text.startswith("${", at):
            return end, await self._parameter(text[at + 2 : end - 1])
        if text.startswith("$?", at):
            return at + 2, str(self.status)
        if found := re.compile(r"\$(\w+)").match(text, at):
            return found.end(), self.variables.get(found[1], "")
        return at + 1, "$"

    async def _parameter(self, text: str) -> str:
        found = re.match(r"(\w+|\?)(:-|##|#|%%|%|/|$)", text)
        if found is None:
            raise ShellError(f"${{{text}}}: bad substitution")
        value = str(self.status) if found[1] == "?" else self.variables.get(found[1], "")
        argument = text[found.end() :]
        match found[2]:
            case ":-":
                return value or "".join(await self._expand(argument, split=False))
            case "/":
                pattern, _, replacement = argument.partition("/")
                return re.sub(_glob(pattern, greedy=True), lambda _: replacement, value, count=1, flags=re.DOTALL)
            case "#" | "##" as how:
                cut = re.match(_glob(argument, greedy=how == "##"), value, re.DOTALL)
                return value[cut.end() :] if cut else value
            case "%" | "%%" as how:
                ends = range(len(value), -1, -1) if how == "%" else range(len(value) + 1)
                tail = re.compile(_glob(argument, greedy=True), re.DOTALL)
                return next((value[:start] for start in ends if tail.fullmatch(value, start)), value)
        return value


def arithmetic(text: str) -> int:
    """Whole numbers with + - * and brackets. Raises ShellError."""

    def value(node: ast.expr, depth: int = 0) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC and depth < MAX_DEPTH:
                return _ARITHMETIC[type(op)](value(left, depth + 1), value(right, depth + 1))
            case ast.UnaryOp(ast.USub(), operand):
                return -value(operand, depth + 1)
        raise ShellError(f"arithmetic: {text!r}")

    if not re.fullmatch(r"[\d\s()+*-]{1,120}", text, re.ASCII):
        raise ShellError(f"arithmetic: {text!r}")
    try:
        return value(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError:
        raise ShellError(f"arithmetic: {text!r}") from None


def _glob(pattern: str, *, greedy: bool) -> str:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\" and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        elif letter == "*":
            out.append(".*" if greedy else ".*?")
        elif letter == "?":
            out.append(".")
        elif letter not in "'\"":
            out.append(re.escape(letter))
        at += 1
    return "".join(out)


def _collector(into: list[str]) -> Write:
    async def write(text: str) -> None:
        into.append(text)

    return write


async def _nowhere(_text: str) -> None:
    """/dev/null."""
