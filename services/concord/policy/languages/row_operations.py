"""Which operations of this platform a row of `endpoint_rows` is about.

Calls of the platform itself are judged by operation, whatever their path: a row that covers the path of an operation
stands for it here. Placeholders are values that nobody knows yet, so no literal fits them and only a star does.
"""

from collections.abc import Sequence
from typing import Final

from concord.policy.catalogues.language_data import RowDialect, dialects_of

_REST: Final = "**"


def operations_within(base: str, paths: Sequence[str], verb: str) -> tuple[str, ...]:
    """Return the operations whose every call fits: a base and paths, of which a `**` at the end is any rest."""
    return tuple(
        dialect.operation_prefix + name
        for dialect in dialects_of(RowDialect)
        if base == "*" or _fits(base, dialect.base_path)
        for name, called in dialect.operations.items()
        if verb in ("*", called.verb) and any(_fits(glob, called.path) for glob in paths)
    )


def _fits(glob: str, text: str) -> bool:
    return text.startswith(glob.removesuffix(_REST)) if glob.endswith(_REST) else text == glob
