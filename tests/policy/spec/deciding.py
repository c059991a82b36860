"""How lines that allow or deny become one answer."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from concord.policy.engine.model import Request

# Whether a line speaks about a request in a place: a project, or the empty text for the organization as a whole.
Speaks = Callable[[Request, str], bool]

NOBODYS_PROJECT = "a project that nobody has named"


@dataclass(frozen=True)
class Line:
    """The smallest thing that can be said: whoever matches is allowed, or denied. `id` is for those who read."""

    id: str
    deny: bool
    speaks: Speaks = field(compare=False)


@dataclass(frozen=True)
class AnyOf:
    """One of the parts must allow."""

    parts: "tuple[Tree, ...]"


@dataclass(frozen=True)
class AllOf:
    """All parts must allow, and there must be some: all of nothing is no."""

    parts: "tuple[Tree, ...]"


Tree = Line | AnyOf | AllOf


@dataclass(frozen=True)
class Answer:
    """Whether; and for a question of where, in which of the named projects and whether in any other one."""

    allowed: bool
    projects: frozenset[str]
    elsewhere: bool


def answer(rights: Tree, request: Request, projects: Iterable[str] = (), ceiling: Tree | None = None) -> Answer:
    """Decide a request; for a question of where, try every project that anybody names, and one nobody does."""

    def permitted(place: str) -> bool:
        return allowed_at(rights, request, place) and (ceiling is None or allowed_at(ceiling, request, place))

    if not request.anywhere:
        allowed = permitted(request.project_id)
        return Answer(allowed, frozenset({request.project_id} - {""}) if allowed else frozenset(), False)
    inside = frozenset(project for project in projects if permitted(project))
    elsewhere = permitted(NOBODYS_PROJECT)
    return Answer(bool(inside) or elsewhere, inside, elsewhere)


def allowed_at(rights: Tree, request: Request, place: str) -> bool:
    """Any deny refuses, wherever it stands; otherwise the allows decide as they are combined."""
    if any(line.speaks(request, place) for line in every_line(rights) if line.deny):
        return False
    return allows(rights, request, place)


def allows(rights: Tree, request: Request, place: str) -> bool:
    """Whether the allows below say yes."""
    if isinstance(rights, Line):
        return not rights.deny and rights.speaks(request, place)
    answers = [allows(part, request, place) for part in rights.parts]
    if isinstance(rights, AllOf):
        return bool(answers) and all(answers)
    return any(answers)


def every_line(rights: Tree) -> list[Line]:
    """Return the lines of a tree."""
    if isinstance(rights, Line):
        return [rights]
    return [line for part in rights.parts for line in every_line(part)]
