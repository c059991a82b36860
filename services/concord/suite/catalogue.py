"""The operations catalogue: made from the dialects' route tables, committed, compared by a test."""

import json
from pathlib import Path

from concord.gateway.app import DIALECTS
from concord.gateway.catalogue import operations

CATALOGUES = Path(__file__).resolve().parents[1] / "policy" / "catalogues"


def _rendered() -> dict[Path, str]:
    return {
        CATALOGUES / dialect.name / "operations.json": json.dumps(operations(dialect), indent=2, ensure_ascii=False)
        + "\n"
        for dialect in DIALECTS
    }


def write() -> list[Path]:
    """Write every dialect's operations file and return their paths."""
    rendered = _rendered()
    for path, text in rendered.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(rendered)


def stale() -> list[str]:
    """Return the dialects whose committed file is not what their route table says."""
    return [path.parent.name for path, text in _rendered().items() if not path.exists() or path.read_text() != text]
