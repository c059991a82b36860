"""The core names no vendor: their words stand in dialects, in catalogues, and where a deployment is put together."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "services" / "concord"

# Short names are looked for as words of their own, however words are joined.
NAMES = re.compile(
    r"(?i:soracom|scaleway|emporix|intdash|aptpod)"
    r"|(?<![A-Za-z])(?:[Nn]tt|[Ss]rn)(?![a-z])|(?<=[a-z])(?:Ntt|Srn)(?![a-z])|(?<![A-Z])(?:NTT|SRN)(?![A-Z])"
)
ALLOWED = (
    CORE / "gateway" / "dialects",
    # It tells operators of the deviations of each dialect.
    CORE / "gateway" / "README.md",
    CORE / "suite" / "birth.py",
    CORE / "suite" / "cli.py",
)
# The shim's entry takes the dialects by their names and does nothing else with these.
ENTRY = CORE / "gateway" / "app.py"
TAKEN = re.compile(r"^from concord\.gateway\.dialects import (?:\([^)]*\)|[^(\n]*)$|\b\w+\.DIALECT\b", re.MULTILINE)


def _core_files() -> Iterator[Path]:
    for path in sorted(CORE.rglob("*")):
        within = path.relative_to(CORE).parts
        supplied = "catalogues" in within[:-2]
        generated = "v1" in within or "__pycache__" in within
        if path.is_file() and not supplied and not generated and not any(path.is_relative_to(a) for a in ALLOWED):
            yield path


def _contract_files() -> Iterator[Path]:
    return (path for path in sorted((ROOT / "protos").rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def _named(paths: Iterator[Path]) -> list[str]:
    found = []
    for path in paths:
        text = path.read_text("utf-8", "replace")
        if path == ENTRY:
            text = TAKEN.sub("", text)
        for number, line in enumerate(text.splitlines(), 1):
            found += [f"{path.relative_to(ROOT)}:{number}: {match.group()}" for match in NAMES.finditer(line)]
        found += [f"{path.relative_to(ROOT)}: its name" for _ in NAMES.finditer(path.name)]
    return found


def test_no_vendor_is_named_in_the_core() -> None:
    assert _named(_core_files()) == []


def test_no_vendor_is_named_in_the_contracts() -> None:
    assert _named(_contract_files()) == []


def test_what_is_looked_through_is_there() -> None:
    core = {path.relative_to(CORE).as_posix() for path in _core_files()}

    assert {"policy/languages/call_trust.py", "policy/catalogues/language_data.py", "gateway/app.py"} <= core
    assert sum(path.suffix == ".proto" for path in _contract_files()) > 20
    assert all(path.exists() for path in ALLOWED)


@pytest.mark.parametrize(
    "text",
    [
        '"soracom/"',
        "for Scaleway",
        "EMPORIX_KEY",
        "intdash_scopes",
        "ntt",
        "NTT's",
        "ntt_rows",
        "NttRows",
        "asSrn",
        "srn:x",
    ],
)
def test_a_name_is_found_however_it_is_written(text: str) -> None:
    assert NAMES.search(text)


@pytest.mark.parametrize("text", ["IntType", "currentTime", "wanttt", "ISRNG", "antt"])
def test_other_words_are_none(text: str) -> None:
    assert NAMES.search(text) is None
