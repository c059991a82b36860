"""Hostile policy text, made without end: what is read must be refused or bounded, and must not allow.

    PYTHONPATH=services:tests python -m fuzz.policy_text --seed 1 --count 2000

Ends with an error at the first text that raises anything but `Invalid`, or that allows what no text here names.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

from concord.kernel.errors import Invalid
from concord.policy.engine import Context, Request, Resource, Subject, compile_program, decide
from concord.policy.engine.condition import compile_condition, facts
from concord.policy.languages import LANGUAGES, Held, assemble
from concord.policy.languages.base import MAX_DOCUMENT
from concord.policy.languages.call_trust import TrustedUser, parse_trust, trusts_user
from concord.policy.languages.path_classes import locate
from concord.policy.reading import find_role
from policy.worlds import LANGUAGES as WRITTEN
from policy.worlds import Maker

# What no text here names. Stars would, so they are no part of what texts are made hostile with.
SECRET = Request(
    "vault.keys.open",
    Subject("user", "u1", "mallory", frozenset({"d1"})),
    operation="vault/OpenKey",
    resource=Resource("key", "k1", "key", group_ids=frozenset({"g1"}), division_ids=frozenset({"d1"})),
    organization_id="o1",
    context=Context(
        ip="10.0.0.1",
        time=datetime(2026, 11, 22, tzinfo=UTC),
        user_agent="curl/8",
        mfa=True,
        method="GET",
        path="/vault/keys",
        attributes={"colour": "red"},
    ),
)
MALLORY = TrustedUser(9_999_999_999, "mallory")

TRUST = (
    '{"statements": [{"effect": "allow", "condition": "ipAddress(\'10.0.0.0/24\')",'
    ' "principal": {"soracom": ["srn:soracom:OP0012345678::User:alice"], "service": ["Flux"]}}]}'
)
TRICKS = (
    "\u202e",
    "\u200b",
    "\ufeff",
    "\ud800",
    "\\ud800",
    "\\u0000",
    "\x00",
    "\x1f",
    "\u0130",
    "\u0131",
    "\uff0f",
    "\u2024",
    "\U0001f600",
    "a\u0301" * 40,
    "\ufdfa" * 40,
    "%2e%2e/",
    "..",
    "//",
    "'",
    '"',
    "\\",
    "NaN",
    "-Infinity",
    "1e999",
    "1" * 5000,
    "null",
    "[]",
    "{}",
    '{"effect": "allow"}',
    "999.999.999.999/99",
    "10.0.0.0/٣",
    "::/0",
)
CATASTROPHES = (
    lambda n: "request.user_agent.matches('" + "(a+)+" * (n % 40) + "$')",
    lambda n: f"request.user_agent.matches('(a{{1,{n % 1000}}}){{1,{n % 1000}}}')",
    lambda n: "(" * (n % 3000) + "true" + ")" * (n % 3000),
    lambda n: "!" * (n % 2000) + "true",
    lambda n: "not " * (n % 600) + "true",
    lambda n: " && ".join(["request.mfa"] * (n % 200)),
    lambda n: " or ".join(["true"] * (n % 900)),
    lambda n: _loops(n % 7),
    lambda n: "'a'" + ".startsWith('a')" * (n % 200),
    lambda n: "[" * (n % 900) + "]" * (n % 900) + " == []",
    lambda n: "{" + ",".join(f"'{at}': {at}" for at in range(n % 200)) + "}.size() > 0",
    lambda n: "x" * (n % 4000),
    lambda n: "request." + ".".join(["a"] * (n % 500)),
    lambda n: "ipAddress('" + "1" * (n % 3000) + "')",
    lambda n: f"date({n % 10**6}, {n % 99}, {n % 99}) == currentDate",
    lambda n: "timestamp('" + "9" * (n % 100) + "') < request.time",
    lambda n: "request.time.getHours('../../etc/passwd') > 0",
    lambda n: "inIpRange(request.ip, '" + "0:" * (n % 1000) + "')",
    lambda n: "'" + "ab" * (n % 500) + "' + " * (n % 30) + "'' == ''",
)


def _loops(deep: int) -> str:
    """Return a condition that would go on for ever, were it let."""
    numbers = "[" + ",".join(map(str, range(60))) + "]"
    text = "true"
    for _ in range(deep):
        text = f"{numbers}.all(x, {text})"
    return text


def texts(seed: int) -> Iterator[tuple[str, str]]:
    """Yield languages and texts in them, without end."""
    random = Random(seed)
    writer = Maker(random)
    while True:
        for language in (*WRITTEN, "trust"):
            text = TRUST if language == "trust" else writer.document(language, in_role=random.random() < 0.5)
            text = text.replace("*", "x")
            yield language, random.choice(_SPOILERS)(text, random)


def _spliced(text: str, random: Random) -> str:
    """Put tricks between the characters, or over them."""
    for _ in range(random.randint(1, 6)):
        at, width = random.randrange(len(text) + 1), random.randint(0, 3)
        text = text[:at] + random.choice(TRICKS) + text[at + width :]
    return text


def _in_texts(text: str, random: Random) -> str:
    """Put tricks into the texts of a document that stays one."""
    return json.dumps(_changed(json.loads(text), lambda each: each + random.choice(TRICKS), random))


def _conditioned(text: str, random: Random) -> str:
    """Give every entry a condition that costs much, or cannot be read."""
    content = json.loads(text)
    for rows in content.values():
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and ("effect" in row or "role_names" in row):
                row["condition"] = random.choice(CATASTROPHES)(random.randrange(10**6))
    return json.dumps(content)


def _nested(text: str, random: Random) -> str:
    """Nest deeper than a reader may go."""
    deep = random.choice((50, 500, 5_000, 30_000))
    opening, closing = random.choice((("[", "]"), ('{"a":', "}"), ('{"statements":[', "]}")))
    inner = opening * deep + (text if random.random() < 0.5 else "0") + closing * deep
    return random.choice((inner, f'{{"statements": {inner}}}', f'{{"rules": [{{"boundary": {inner}}}]}}'))


def _great(text: str, random: Random) -> str:
    """Say the same over and over, up to megabytes."""
    content = json.loads(text)
    size = random.choice((MAX_DOCUMENT // 2, MAX_DOCUMENT, 1_000_000, 3_000_000))
    for name, rows in content.items():
        if isinstance(rows, list) and rows:
            content[name] = rows * (size // max(1, len(json.dumps(rows))) + 1)
            break
    return json.dumps(content)


def _great_texts(text: str, random: Random) -> str:
    return json.dumps(_changed(json.loads(text), lambda each: each * random.choice((2, 200, 20_000)), random))


def _strange(text: str, random: Random) -> str:
    """Put things of other kinds where texts and lists belong."""
    odd: tuple[Any, ...] = (None, True, 0, -1, 1e308, 2**70, [], {}, [[]], [None], {"": ""}, "", ["a"] * 3)
    return json.dumps(_changed(json.loads(text), lambda each: random.choice(odd), random))


def _repeated(text: str, random: Random) -> str:
    """Give one object a field twice, in two spellings perhaps."""
    at = text.find("{", random.randrange(len(text)))
    return (
        text[: at + 1] + random.choice(('"effect": "allow", ', '"effec\\u0074": "allow", ', '"": 1, ')) + text[at + 1 :]
    )


def _bytes(text: str, random: Random) -> str:
    return bytes(random.randrange(256) for _ in range(random.randint(0, 60))).decode("latin-1") + text[:10]


_SPOILERS: tuple[Callable[[str, Random], str], ...] = (
    _spliced,
    _spliced,
    _in_texts,
    _in_texts,
    _conditioned,
    _conditioned,
    _nested,
    _great,
    _great_texts,
    _strange,
    _strange,
    _repeated,
    _bytes,
)


def _changed(content: Any, change: Callable[[str], Any], random: Random) -> Any:
    """Change some of the texts in a document."""
    if isinstance(content, dict):
        return {name: _changed(value, change, random) for name, value in content.items()}
    if isinstance(content, list):
        return [_changed(value, change, random) for value in content]
    return change(content) if random.random() < 0.3 else content


def answer_to(language: str, text: str) -> str:
    """Return what comes of a text: `refused`, `denied`, or, which must not be, `allowed`."""
    try:
        if language == "trust":
            return "allowed" if trusts_user(parse_trust(text), MALLORY, SECRET) else "denied"
        chosen = LANGUAGES[language]
        statements = chosen.parse(text)
        if chosen.faults(statements, find_role):
            return "refused"
    except Invalid as refusal:
        # What is told of it goes back to its author: it must be fit to be sent.
        for violation in refusal.violations:
            f"{violation.field}: {violation.description}".encode()
        return "refused"
    policy = chosen.compile("p", statements, find_role)
    for statement in policy.statements:
        if statement.condition:
            # Nothing here asks for what the statement is about, and its condition has to come to an end all the same.
            compile_condition(statement.condition).evaluate(facts(SECRET))
    program = compile_program(assemble([Held("u1", language, policy)]))
    return "allowed" if decide(program, locate(SECRET)).allowed else "denied"


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Read hostile policy text.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2_000)
    asked = parser.parse_args(arguments)
    came: Counter[str] = Counter()
    for number, (language, text) in zip(range(asked.count), texts(asked.seed), strict=False):
        try:
            answer = answer_to(language, text)
        except BaseException:
            print(f"text {number} of seed {asked.seed}, {language}, {len(text)} characters: {text[:600]!a}")
            raise
        came[answer] += 1
        if answer == "allowed":
            print(f"text {number} of seed {asked.seed}, {language}, allows: {text[:3000]!a}")
            return 1
    print(json.dumps(came))
    return 0


if __name__ == "__main__":
    sys.exit(main())
