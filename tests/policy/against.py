"""Holds what production makes of a world against the specification, and makes small what they disagree about."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from concord.kernel.ids import GroupId, OrganizationId, PolicyId, ProjectId, RoleId, StatementId, UserId
from concord.policy import model
from concord.policy.compiling import check_statements, compile_ceiling, compile_sources
from concord.policy.engine import Boundary, Decision, Program, Request, decide, owner_program
from concord.policy.languages import get_language
from concord.policy.languages.path_classes import locate
from concord.policy.reading import statement_of
from policy import spec
from policy.spec.calls import located
from policy.spec.world import EVERYONE, NOBODY
from policy.worlds import GROUPS, ORGANIZATION, PROJECTS, STRANGE_PROJECT, Question

PLACES = (*PROJECTS, STRANGE_PROJECT)
_THEN = datetime(2026, 11, 21, tzinfo=UTC)
_HERE = OrganizationId(ORGANIZATION)


# what production makes of a world


def program_of(world: spec.World, principal: str) -> Program:
    """Return a principal's program: read, checked, stored in form, put together and compiled as in production."""
    if principal == world.owner:
        return owner_program()
    return compile_sources(sources_of(world, principal))


def sources_of(world: spec.World, principal: str) -> model.Sources:
    """Return all that a principal's program is made of."""
    count = spec.holders(world, principal)
    return model.Sources(
        tuple(stored_policy(each) for each in world.documents if each.holder in count),
        tuple(stored_grant(each) for each in world.grants if each.holder in count),
        {RoleId(each.id): stored_role(each, world) for each in world.roles.values()},
    )


def stored_policy(document: spec.Document) -> model.Policy:
    """Return a document as it is stored; nothing that worlds are written with may be refused."""
    statements = _stated(document.language, document.text)
    return model.Policy(
        PolicyId(document.id),
        _HERE,
        1,
        _THEN,
        _THEN,
        "policy",
        subject=subject_of(document.holder),
        language=document.language,
        document=document.text,
        statements=tuple(replace(s, id=StatementId(f"{document.id}#{at}")) for at, s in enumerate(statements)),
    )


def stored_role(role: spec.Role, world: spec.World) -> model.Role:
    """Return a role as it is stored."""
    kind = model.RoleKind.NARROWED if role.resource_type else model.RoleKind.COMPOSED
    statements = _stated(role.language, role.text) if role.text else ()
    return model.Role(
        RoleId(role.id),
        role.id,
        model.LocalizedText(role.id),
        _HERE,
        kind=kind if role.includes else model.RoleKind.BASIC,
        language=role.language,
        document=role.text,
        statements=tuple(
            replace(s, id=StatementId(f"{role.id}#{at}"), boundary=None) for at, s in enumerate(statements)
        ),
        included_role_ids=tuple(RoleId(each) for each in role.includes),
        resource_type_id=role.resource_type,
        permissions=role.permissions,
        boundary_kind=model.BoundaryKind(role.boundary_kind.value),
    )


def stored_grant(grant: spec.Grant) -> model.Grant:
    """Return a grant as it is stored."""
    return model.Grant(
        model.GrantId(grant.id),
        _HERE,
        _THEN,
        _THEN,
        subject_of(grant.holder),
        RoleId(grant.role),
        stored_boundary(grant.boundary),
        grant.language,
    )


def stored_boundary(boundary: Boundary) -> model.Boundary:
    """Return a boundary as it is stored."""
    return model.Boundary(
        model.BoundaryKind(boundary.kind.value),
        project_ids=tuple(ProjectId(each) for each in sorted(boundary.project_ids)),
        group_id=boundary.group_id,
        owner_user_id=boundary.owner_user_id,
    )


def subject_of(holder: str) -> model.Subject:
    """Return a holder as it is stored."""
    if holder == EVERYONE:
        return model.EVERYONE
    if holder == NOBODY:
        return model.NOBODY
    kind = model.SubjectKind.GROUP if holder in GROUPS else model.SubjectKind.USER
    return model.Subject(kind, GroupId(holder) if kind is model.SubjectKind.GROUP else UserId(holder))


def _stated(language: str, text: str) -> tuple[model.Statement, ...]:
    statements = tuple(statement_of(each) for each in get_language(language).parse(text))
    check_statements(language, statements)
    return statements


# both answers


@dataclass(frozen=True)
class Disagreement:
    """A world, a question, and the two answers to it."""

    world: spec.World
    question: Question
    said: spec.Answer
    specified: spec.Answer

    def __str__(self) -> str:
        world = self.world
        holders = spec.holders(world, self.question.principal)
        lines = [f"the engine says {self.said}", f"specified is {self.specified}", f"{self.question}"]
        lines += [f"{each.holder}: {each.language} {' '.join(each.text.split())}" for each in world.documents]
        lines += [f"{each.holder}: {each}" for each in world.grants]
        lines += [f"{each}" for each in world.roles.values()]
        lines.append(f"counting: {sorted(holders)}")
        return "\n".join(lines)


def engine_says(program: Program, question: Question) -> spec.Answer:
    """Return the engine's answer."""
    return as_answer(decision_on(program, question), question.request)


def decision_on(program: Program, question: Question) -> Decision:
    """Return the engine's decision."""
    request = question.request
    ceiling = compile_ceiling(question.ceiling) if question.ceiling else None
    return decide(program, located_by_engine(request), ceiling)


def located_by_engine(request: Request) -> Request:
    """Return a question about a path as one about the place that it leads to."""
    return locate(request, request.resource.group_ids or ())


def as_answer(decision: Decision, request: Request, places: Sequence[str] = PLACES) -> spec.Answer:
    """Return a decision in the words of the specification."""
    reach = decision.reach
    if not request.anywhere:
        return spec.Answer(decision.allowed, reach.project_ids, False)
    inside = frozenset(project for project in places if reach.holds_in(project))
    return spec.Answer(decision.allowed, inside, reach.everything)


def specified(world: spec.World, question: Question) -> spec.Answer:
    """Return the specification's answer."""
    return specified_by(spec.rights(world, question.principal), world, question)


def specified_by(rights: spec.Tree, world: spec.World, question: Question) -> spec.Answer:
    """Return the specification's answer from rights that were read before."""
    request = located(question.request, question.request.resource.group_ids or frozenset())
    if question.ceiling:
        limit = spec.ceiling(question.ceiling, world.supplied)
        return spec.answer(rights, request, PLACES, limit)
    return spec.answer(rights, request, PLACES)


def compare(world: spec.World, question: Question) -> Disagreement | None:
    """Return what the two disagree about, if they do."""
    said, wanted = engine_says(program_of(world, question.principal), question), specified(world, question)
    return None if said == wanted else Disagreement(world, question, said, wanted)


# making small


def shrunk(
    found: Disagreement, compare: Callable[[spec.World, Question], Disagreement | None] = compare
) -> Disagreement:
    """Return a disagreement about as little as leaving things out one by one comes to."""
    while True:
        smaller = next((each for w in _smaller(found.world) if (each := compare(w, found.question)) is not None), None)
        if smaller is None:
            return found
        found = smaller


def _smaller(world: spec.World) -> Iterator[spec.World]:
    for document in world.documents:
        yield replace(world, documents=tuple(each for each in world.documents if each is not document))
    for grant in world.grants:
        yield replace(world, grants=tuple(each for each in world.grants if each is not grant))
    granted = {grant.role for grant in world.grants}
    needed = granted | {name for role in world.roles.values() for name in role.includes}
    for role in world.roles.values():
        if role.id not in needed:
            yield replace(world, roles={name: each for name, each in world.roles.items() if each is not role})
        for text in _shorter(role.text):
            yield replace(world, roles={**world.roles, role.id: replace(role, text=text)})
    for document in world.documents:
        for text in _shorter(document.text):
            others = (replace(each, text=text) if each is document else each for each in world.documents)
            yield replace(world, documents=tuple(others))


def _shorter(text: str) -> Iterator[str]:
    """Yield a document without one entry of one of its lists."""
    content = json.loads(text) if text else {}
    for name, rows in content.items():
        for at in range(len(rows)):
            if len(rows) > 1:
                yield json.dumps({**content, name: rows[:at] + rows[at + 1 :]})
