"""The words of conditions on calls, and where in the text each stands."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>-?[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>==|!=|>=|<=|[<>(),])"
)
_MAX_DIGITS: Final = 15
_MAX_TOLD: Final = 160
# Invisible and reordering characters make two texts look alike that are not.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class ConditionFault(ValueError):
    """A condition that cannot be read; its text names the place."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word: a `name`, `number`, `sign`, `text` with its quotes, or the `end`."""

    kind: str
    text: str
    offset: int


def split(condition: str) -> list[Token]:
    """Return the words of a condition with the end behind them, or raise ConditionFault."""
    tokens: list[Token] = []
    offset = 0
    while offset < len(condition):
        match = _TOKEN.match(condition, offset)
        if match is None:
            raise fault_at(condition, offset, _foreign(condition[offset]))
        kind, text = str(match.lastgroup), match.group()
        if kind == "number" and sum(each.isdigit() for each in text) > _MAX_DIGITS:
            raise fault_at(condition, offset, f"a number has at most {_MAX_DIGITS} digits")
        if kind == "text" and (hidden := hidden_character(text)):
            raise fault_at(condition, offset, f"holds the invisible character {hidden}")
        if kind != "space":
            tokens.append(Token(kind, text, offset))
        offset = match.end()
    return [*tokens, Token("end", "", offset)]


def fault_at(condition: str, offset: int, told: str) -> ConditionFault:
    """Return what is wrong with a condition at a place in it."""
    before = condition[:offset]
    line = before.count("\n") + 1
    column = offset - before.rfind("\n")
    brief = told if len(told) <= _MAX_TOLD else told[: _MAX_TOLD - 3] + "..."
    return ConditionFault(f"line {line}, column {column}: {brief}")


def hidden_character(text: str) -> str:
    """Return the first character of a text that nobody can see, as `U+200B`, or an empty text."""
    found = next((each for each in text if unicodedata.category(each) in _HIDDEN), "")
    return f"U+{ord(found):04X}" if found else ""


def _foreign(character: str) -> str:
    if character in "'\"":
        return "a text is not closed"
    if character.isascii() and character.isprintable():
        return f"`{character}` does not belong here"
    return f"the character U+{ord(character):04X} belongs only between quotes"
