"""Paths: what a glob of them fits, where the base of an interface ends, and to which place a path leads."""

import re
import unicodedata
from dataclasses import dataclass, replace
from urllib.parse import unquote

from concord.policy.engine.model import Request

BASES = (
    "/apilog",
    "/business-process",
    "/cloudn",
    "/ec-vcd/api",
    "/global-m2m",
    "/iam",
    "/nexcenter",
    "/oauth",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE")
_PROJECTS = (("auth", "projects"), ("v1", "projects"), ("media", "projects"))
_GROUPS = (("auth", "groups"),)


# rows: base, path and verb


def row_fits(base: str, path: str, verb: str, called: str, method: str) -> bool:
    """Whether a row with this base path, path and verb is about a call. What says no path is no call."""
    if not called or verb not in ("*", method.upper()):
        return False
    called = _without_version(called)
    its_base = _base_of(called)
    if base == "*":
        return rest_fits(path, called.removeprefix(its_base) or "/")
    base = _without_version(base)
    if base.endswith("*"):
        return its_base.startswith(base[:-1]) and rest_fits(path, called.removeprefix(its_base) or "/")
    base = base.rstrip("/")
    # A base may go deeper than those that are known, and never less deep.
    below = called == base or called.startswith(base + "/")
    return below and len(base) >= len(its_base) and rest_fits(path, called.removeprefix(base) or "/")


def rest_fits(path: str, rest: str) -> bool:
    """A path is itself and all below it; with a star at its end, all that begins so."""
    if path.endswith("*"):
        return rest.startswith(path[:-1])
    if path == "/":
        return rest == "/"
    path = path.rstrip("/")
    return rest == path or rest.startswith(path + "/")


def _base_of(called: str) -> str:
    known = [base for base in BASES if called == base or called.startswith(base + "/")]
    if known:
        return max(known, key=len)
    return "/" + called[1:].split("/")[0] if called else ""


def _without_version(path: str) -> str:
    return path[len("/v1") :] if path == "/v1" or path.startswith("/v1/") else path


# scopes: globs over whole paths


def endpoint_fits(glob: str, methods: str, path: str, method: str) -> bool:
    """Whether an endpoint of a scope fits a call whose path is known."""
    return method_fits(methods, method) and (path_fits(glob, path) or path_fits(_other_spelling(glob), path))


def method_fits(glob: str, method: str) -> bool:
    """A star stands for any letters of a known method; alone, or left out, for any method and an unknown one."""
    if glob in ("", "*", "**"):
        return True
    if "*" not in glob:
        return glob.upper() == method.upper()
    pattern = "".join(".*" if part == "*" else re.escape(part) for part in glob.upper())
    return method.upper() in METHODS and re.fullmatch(pattern, method.upper()) is not None


def path_fits(glob: str, path: str) -> bool:
    """One star stays within its segment, two do not."""
    if not glob:
        return not path
    if glob.startswith("**"):
        return any(path_fits(glob[2:], path[start:]) for start in range(len(path) + 1))
    if glob[0] == "*":
        segment = path.split("/")[0]
        return any(path_fits(glob[1:], path[start:]) for start in range(len(segment) + 1))
    return bool(path) and path[0] == glob[0] and path_fits(glob[1:], path[1:])


def _other_spelling(glob: str) -> str:
    """Callers may leave out what all paths of the interface begin with, and so may scopes."""
    return glob.removeprefix("/api") if glob.startswith("/api/") else "/api" + glob


# places


@dataclass(frozen=True)
class Place:
    """A project or a group with its id, any other place, or one that readers of the path would not agree about."""

    kind: str
    id: str = ""


def place_of(path: str) -> Place:
    """Return to what place a path leads."""
    if not path.startswith("/") or len(path) > 4096 or not _reads_alike(path):
        return Place("unclear")
    segments = path.split("/")[1:]
    # A slash at the end is no segment; an empty one anywhere else, or a dot, is read differently by different servers.
    if "" in segments[:-1] or "." in segments or ".." in segments:
        return Place("unclear")
    words = [unicodedata.normalize("NFKC", unquote(segment)).casefold() for segment in segments]
    if words[0] == "api":
        segments, words = segments[1:], words[1:]
    if len(segments) > 2 and segments[2]:
        if tuple(words[:2]) in _PROJECTS:
            return Place("project", _id(segments[2]))
        if tuple(words[:2]) in _GROUPS:
            return Place("group", _id(segments[2]))
    return Place("other")


def located(request: Request, above: frozenset[str]) -> Request:
    """Return a question about a path as one about the place that the path leads to; `above` are the groups over it."""
    if not request.context.path:
        return request
    place = place_of(request.context.path)
    request = replace(request, context=replace(request.context, path_class=place.kind))
    if place.kind == "project":
        return replace(request, project_id=place.id, anywhere=False)
    if place.kind == "group":
        return replace(request, resource=replace(request.resource, group_ids=frozenset({place.id}) | above))
    return request


def _reads_alike(path: str) -> bool:
    """Whether nothing in a path could be taken for something else, be it after one more round of unescaping."""
    if not path.isprintable() or any(character in path for character in "?#;\\"):
        return False
    for at, character in enumerate(path):
        if character == "%":
            code = path[at + 1 : at + 3]
            if not re.fullmatch("[0-9A-Fa-f]{2}", code):
                return False
            if re.fullmatch(r"[A-Za-z0-9\-._~/%\\?#;]", chr(int(code, 16))):
                return False
    try:
        seen = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return False
    if not seen.isprintable():
        return False
    same_form = unicodedata.normalize("NFKC", seen)
    return all(same_form.count(character) == seen.count(character) for character in "/.%?#;\\")


def _id(segment: str) -> str:
    hexadecimal = "[0-9a-fA-F]"
    form = "-".join(f"{hexadecimal}{{{count}}}" for count in (8, 4, 4, 4, 12))
    return segment.lower() if re.fullmatch(form, segment) else segment
