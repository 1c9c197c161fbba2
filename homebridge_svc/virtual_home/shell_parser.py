"""How the fake Android reads a command line: text becomes a tree of frozen nodes.

Understood: `;` `&&` `||` `|` `!`, `( )`, `{ }`, `if … then … elif … else … fi`, `<file`, `>/dev/null`, `2>&1`. Words
stay raw, quotes and dollars included: they are expanded when their command runs (virtual_home/shell.py), as a shell
does. `skip` finds where a quotation or an expansion ends; both modules need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

MAX_LINE = 32_768  # characters
MAX_DEPTH = 24
_OPERATORS = ("&&", "||", "2>&1", "2>", ">>", ">", "<", ";", "|", "(", ")", "\n", "&")
_RESERVED = frozenset({"then", "elif", "else", "fi", "}", ")"})


class ShellError(Exception):
    """The line cannot be understood, or a word in it cannot be expanded; status 2, as in a real shell."""


@dataclass(frozen=True, slots=True)
class Simple:
    """A command: `NAME=value … word … <file`."""

    words: tuple[str, ...]
    source: str | None = None  # raw word after `<`
    silent: bool = False  # >/dev/null


@dataclass(frozen=True, slots=True)
class Pipeline:
    """a | b | c; negated by `!`."""

    parts: tuple[Node, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """First, then each (operator, node) with `;` `&&` `||`."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class If:
    """Pairs of (condition, body), and the body of `else`."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True, slots=True)
class Group:
    """`{ … }`, or `( … )` with variables of its own."""

    body: Node
    own_variables: bool


Node: TypeAlias = Simple | Pipeline | Chain | If | Group


@dataclass(slots=True)
class _Parser:
    tokens: list[str]
    at: int = 0
    depth: int = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            raise ShellError(f"syntax error: expected {expected or 'a word'}, got {token or 'the end'}")
        self.at += 1
        return token

    def skip(self, *unwanted: str) -> None:
        while self.peek() in unwanted and self.peek():
            self.at += 1

    def chain(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ShellError("nested too deeply")
        self.skip("\n", ";")
        first = self.pipeline()
        rest: list[tuple[str, Node]] = []
        while self.peek() in ("&&", "||", ";", "\n", "&"):
            joint = self.take()
            self.skip("\n", *((";",) if joint in (";", "\n") else ()))
            if joint in (";", "\n", "&") and (not self.peek() or self.peek() in _RESERVED):
                break
            rest.append((joint if joint in ("&&", "||") else ";", self.pipeline()))
        self.depth -= 1
        return Chain(first, tuple(rest)) if rest else first

    def pipeline(self) -> Node:
        negated = self.peek() == "!"
        if negated:
            self.take()
        parts = [self.command()]
        while self.peek() == "|":
            self.take()
            self.skip("\n")
            parts.append(self.command())
        return Pipeline(tuple(parts), negated) if negated or len(parts) > 1 else parts[0]

    def command(self) -> Node:
        match self.peek():
            case "(":
                return self.group(")", own_variables=True)
            case "{":
                return self.group("}", own_variables=False)
            case "if":
                return self.conditional()
        words: list[str] = []
        source: str | None = None
        silent = False
        while (token := self.peek()) and (token not in _OPERATORS or token in ("<", ">", ">>", "2>", "2>&1")):
            self.take()
            match token:
                case "<":
                    source = self.take()
                case ">" | ">>":
                    self.take()
                    silent = True
                case "2>":
                    self.take()
                case "2>&1":
                    pass
                case _:
                    words.append(token)
        if not words or words[0] in _RESERVED or words[0] == "!":
            raise ShellError(f"syntax error near {token or 'the end'}")
        return Simple(tuple(words), source, silent)

    def group(self, closing: str, *, own_variables: bool) -> Node:
        self.take()
        body = self.chain()
        self.take(closing)
        return Group(body, own_variables)

    def conditional(self) -> Node:
        branches: list[tuple[Node, Node]] = []
        while self.take() in ("if", "elif"):
            condition = self.chain()
            self.take("then")
            branches.append((condition, self.chain()))
            if self.peek() in ("else", "fi"):
                break
        otherwise: Node | None = None
        if self.peek() == "else":
            self.take()
            otherwise = self.chain()
        self.take("fi")
        return If(tuple(branches), otherwise)


def parse(line: str) -> Node:
    """Read a command line. Raises ShellError."""
    if len(line) > MAX_LINE:
        raise ShellError("argument list too long")
    parser = _Parser(_tokens(line))
    node = parser.chain()
    if parser.peek():
        raise ShellError(f"syntax error near {parser.peek()}")
    return node


def _tokens(line: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(line):
        if line[at] in " \t\r":
            at += 1
            continue
        if found := next((op for op in _OPERATORS if line.startswith(op, at)), None):
            tokens.append(found)
            at += len(found)
            continue
        start = at
        while at < len(line) and line[at] not in " \t\r" and not line.startswith(_WORD_ENDS, at):
            at = skip(line, at)
        tokens.append(line[start:at])
    return tokens


_WORD_ENDS = ("&&", "||", ">", "<", ";", "|", "(", ")", "\n", "&")


def skip(text: str, at: int) -> int:
    """The index after the character, quotation or expansion that begins at `at`."""
    if text[at] == "\\":
        return min(len(text), at + 2)
    if text[at] == "'":
        end = text.find("'", at + 1)
    elif text[at] == '"':
        end = _closing(text, at + 1, '"')
    elif text.startswith("$((", at):
        end = text.find("))", at) + 1
    elif text.startswith("$(", at):
        end = _closing(text, at + 2, ")")
    elif text.startswith("${", at):
        end = _closing(text, at + 2, "}")
    else:
        return at + 1
    if end <= 0:
        raise ShellError("syntax error: unexpected end of line")
    return end + 1


def _closing(text: str, at: int, mark: str, depth: int = 0) -> int:
    """The index of the closing mark, past quotations and expansions; -1: there is none."""
    if depth > MAX_DEPTH:
        raise ShellError("nested too deeply")
    while at < len(text):
        if text[at] == mark:
            return at
        if text[at] == "\\":
            at += 2
        elif mark == ")" and text[at] == "(":
            at = _closing(text, at + 1, ")", depth + 1) + 1 or len(text)
        elif text[at] in "'\"$" and not (mark == '"' and text[at] == "'"):
            at = _skip_nested(text, at, depth)
        else:
            at += 1
    return -1


def _skip_nested(text: str, at: int, depth: int) -> int:
    for opening, mark in (('"', '"'), ("$(", ")"), ("${", "}")):
        if text.startswith(opening, at):
            return _closing(text, at + len(opening), mark, depth + 1) + 1 or len(text)
    return skip(text, at)
