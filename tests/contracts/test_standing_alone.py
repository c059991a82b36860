"""The project needs nothing beside itself and says nothing of where it was made."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = re.compile(
    r"\.\./shar"
    r"ed|/wor"
    r"k/|/roo"
    r"t/\."
    r"|https?://[\w.-]*(?:py"
    r"pi|python"
    r"hosted|npm"
    r"js|proxy\.gol"
    r"ang)\."
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines()]


def test_no_file_leads_outside_the_project() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("only a checkout knows which files are the project's")

    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in FOREIGN.finditer(text)]

    assert found == []
