"""Policy text that means harm is refused or bounded; nothing hangs, nothing breaks, nothing is allowed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.policy_text import answer_to

ROOT = Path(__file__).parents[2]
COUNT = 3_000
# Many times what it takes: whoever needs as long as that has hung.
HUNG_SECONDS = 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 20_261_122])
def test_hostile_policy_text_neither_hangs_nor_breaks_nor_allows(seed: int) -> None:
    # In a process of its own: what hangs in a library cannot be interrupted, and what exhausts a stack ends it.
    process = subprocess.run(
        [sys.executable, "-W", "error", "-m", "fuzz.policy_text", "--seed", f"{seed}", "--count", f"{COUNT}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'services'}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=HUNG_SECONDS,
        check=False,
    )

    assert process.returncode == 0, process.stdout + process.stderr
    came = json.loads(process.stdout)
    assert sum(came.values()) == COUNT
    # Texts that are all refused at the door would show nothing of what lies behind it.
    assert came["denied"] > COUNT / 10
    assert came["refused"] > COUNT / 10


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("statements", '{"statements": [{"effect": "allow", "permissions": ["*"]}]}'),
        ("endpoint_rows", '{"resources": [{"basePath": "*", "path": "*", "verb": "*", "ipAddress": "*"}]}'),
        ("endpoint_scopes", '{"allowed_endpoints": [{"path": "/**", "method": "*"}]}'),
    ],
)
def test_a_text_that_did_allow_would_be_noticed(language: str, text: str) -> None:
    assert answer_to(language, text) == "allowed"
