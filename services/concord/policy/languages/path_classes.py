"""To what kind of place a path belongs, and whose rights count there.

A path that several readers could understand differently belongs to no place, and nothing counts for it.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import unquote, unquote_to_bytes

from concord.policy.catalogues.language_data import PathDialect, dialects_of
from concord.policy.engine.model import Request

MAX_PATH = 4096

_UUID = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
_ESCAPE = re.compile(r"%(?:([0-9A-Fa-f]{2}))?")
# A query, a fragment, a parameter, the other slash: what a path may not hold.
_FOREIGN = "?#;\\"
# Escaped, these are seen through by one reader and not by another.
_NEVER_ESCAPED = re.compile(r"[A-Za-z0-9\-._~/%\\?#;]")


class PathClass(StrEnum):
    """What kind of place a path belongs to."""

    PROJECT = "project"
    GROUP = "group"
    OTHER = "other"
    """The organization itself, and whatever is the caller's own."""
    UNCLEAR = "unclear"
    """Readers may differ about it, so it belongs nowhere."""


@dataclass(frozen=True, slots=True)
class Place:
    """The kind of place and, for a project or group, which one."""

    path_class: PathClass
    id: str = ""


class Counting(StrEnum):
    """Whose rights decide about a path."""

    ASKED = "asked"
    """The scopes that the question names."""
    THERE = "there"
    """Those that the subject holds in the place."""
    NOTHING = "nothing"


def classify(path: str) -> Place:
    """Return the place that a path belongs to."""
    if not path.startswith("/") or len(path) > MAX_PATH or not _is_plain(path):
        return Place(PathClass.UNCLEAR)
    segments = path[1:].split("/")
    if any(segment in ("", ".", "..") for segment in segments[:-1]) or segments[-1] in (".", ".."):
        return Place(PathClass.UNCLEAR)
    # Letters are compared loosely: a server that overlooks their form must not be reached around the rule.
    head = tuple(unicodedata.normalize("NFKC", unquote(segment)).casefold() for segment in segments[:3])
    places = (_place(dialect, segments, head) for dialect in dialects_of(PathDialect))
    return next((place for place in places if place is not None), Place(PathClass.OTHER))


def locate(request: Request, groups_above: Collection[str] = ()) -> Request:
    """Return the question as one about the place that its path belongs to.

    `groups_above` are the ancestors of the path's group. A question without a path stays as it is.
    """
    if not request.context.path:
        return request
    place = classify(request.context.path)
    request = replace(request, context=replace(request.context, path_class=place.path_class.value))
    if place.path_class is PathClass.PROJECT:
        return replace(request, project_id=place.id, anywhere=False)
    if place.path_class is PathClass.GROUP:
        return replace(request, resource=replace(request.resource, group_ids=frozenset({place.id, *groups_above})))
    return request


def counting(path_class: PathClass, *, subject: bool, device: bool = False, belongs: bool = False) -> Counting:
    """Return whose rights count for a path.

    `subject` tells whether the question names one, `device` whether it is a device, and
    `belongs` whether it is a member of the path's project or group, be it by a group above.
    """
    if path_class is PathClass.UNCLEAR:
        return Counting.NOTHING
    if not subject or path_class is PathClass.OTHER:
        return Counting.ASKED
    if not belongs:
        return Counting.NOTHING
    return Counting.ASKED if device and path_class is PathClass.PROJECT else Counting.THERE


def _place(dialect: PathDialect, segments: Sequence[str], head: Sequence[str]) -> Place | None:
    """Return the project or group that a path leads into; `head` are the first segments, as they are compared."""
    if head[0] == dialect.prefix[1:]:
        segments, head = segments[1:], head[1:]
    named = segments[2] if len(segments) > 2 else ""
    above = "".join(f"/{segment}" for segment in head[:2])
    if named and above in dialect.projects:
        return Place(PathClass.PROJECT, _id(named))
    if named and above in dialect.groups:
        return Place(PathClass.GROUP, _id(named))
    return None


def _is_plain(path: str) -> bool:
    """Tell whether all readers see the same segments in a path."""
    if not path.isprintable() or any(c in path for c in _FOREIGN):
        return False
    for escape in _ESCAPE.finditer(path):
        code = escape.group(1)
        if code is None or _NEVER_ESCAPED.match(chr(int(code, 16))):
            return False
    try:
        seen = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        return False
    folded = unicodedata.normalize("NFKC", seen)
    return seen.isprintable() and all(folded.count(c) == seen.count(c) for c in "/.%" + _FOREIGN)


def _id(segment: str) -> str:
    # Ids that are none are kept as they are: nobody belongs to such a place.
    return segment.lower() if _UUID.fullmatch(segment) else segment
