"""What might be given to a subject: each existing role, and membership in each group, tried one by one."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from concord.kernel.ids import GroupId, ProjectId, RoleId
from concord.policy.compiling import held_steps
from concord.policy.engine import Combine, Effect, Policy, PolicySet, Program, Request, Statement, compile_steps
from concord.policy.explaining.holdings import Holdings, origins_of
from concord.policy.explaining.repair import Repair, RepairKind
from concord.policy.explaining.trial import Breadth, Part, Trials, about_the_act, breadth_of, narrowness, parts_of
from concord.policy.explaining.turns import Turns
from concord.policy.holding import compile_grant, misplaced
from concord.policy.languages import Held, get_language
from concord.policy.model import Boundary, BoundaryKind, Grant, GrantId, Role, Subject, SubjectKind
from concord.policy.model import Policy as StoredPolicy
from concord.policy.reading import place_of, supplied_roles

# No grant has this id.
_TRIED: Final = GrantId("tried")

Roles = Mapping[RoleId, Role]
Steps = Generator[None, None, "Library"]


@dataclass(frozen=True, slots=True)
class Library:
    """Sources compiled together, to find those that are about an act without looking at each."""

    program: Program
    policies: Sequence[Policy]

    def about(self, request: Request) -> list[list[Statement]]:
        """Return for each source its statements that are about an act."""
        found = about_the_act(self.program, range(1, len(self.policies) + 1), request)
        return [found[node] for node in range(1, len(self.policies) + 1)]


def library_steps(policies: Sequence[Policy]) -> Steps:
    """Compile sources together, in steps."""
    program = yield from compile_steps(PolicySet(Combine.ANY_OF, tuple(policies)))
    return Library(program, policies)


def role_library_steps(chosen: Iterable[Role], roles: Roles, asked_by: Grant) -> Steps:
    """Compile roles together, each where it may be held widest, where it is about all that it is about anywhere."""
    policies = []
    for role in chosen:
        policies.append(compile_grant(_granted(asked_by, role, _widest(role, asked_by)), roles))
        yield
    return (yield from library_steps(policies))


class Grants:
    """Tries to grant roles."""

    def __init__(self, trials: Trials, turns: Turns, holdings: Holdings, boundaries: Sequence[Boundary]) -> None:
        """Take the boundaries that may be tried, narrowest first."""
        self._trials = trials
        self._turns = turns
        self._holdings = holdings
        self._boundaries = boundaries
        asked = trials.asked
        self._like = like_of(trials)
        self._request = asked.whole_request(asked.places[0], by_place=False)
        self._existing = {each.key for each in holdings.sources.grants}

    async def tried(self, parts: Sequence[Part], supplied: Library, found: list[Repair]) -> None:
        """Add every grant that would do."""
        made = self._holdings.roles
        own = await self._turns.run(role_library_steps(made.values(), made, self._like))
        roles = (*supplied_roles().values(), *made.values())
        about = (*supplied.about(self._request), *own.about(self._request))
        fitting = [
            (breadth_of(policy.statements)[1], role, frozenset(each.id for each in statements))
            for role, statements, policy in zip(roles, about, (*supplied.policies, *own.policies), strict=True)
            if _may_allow(statements)
        ]
        fitting.sort(key=lambda each: (each[0], _name(each[1]), each[1].id))
        subject = self._like.subject
        groups = [Subject(SubjectKind.GROUP, each) for each in sorted(self._holdings.standing.group_ids)]
        for names, role, about_it in fitting:
            repair = await self._narrowest(parts, role, about_it, names, subject)
            if repair is not None:
                found.append(repair)
            elif get_language(role.language).combine is Combine.ALL_OF:
                # Another holder's roles are combined apart from those that stand in the way here.
                for group in groups:
                    repair = await self._narrowest(parts, role, about_it, names, group)
                    if repair is not None:
                        found.append(repair)

    async def _narrowest(
        self, parts: Sequence[Part], role: Role, about_it: frozenset[str], names: int, subject: Subject
    ) -> Repair | None:
        roles = self._holdings.roles
        for boundary in self._boundaries:
            await self._turns.pause()
            grant = replace(_granted(self._like, role, boundary), subject=subject)
            if grant.key in self._existing or misplaced(role, roles, boundary):
                continue
            policy = compile_grant(grant, roles)
            by_place = any(each.path_class for each in policy.statements)
            relevant = Policy(policy.id, tuple(each for each in policy.statements if each.id in about_it))
            held = Held(f"{subject.kind.value}:{subject.id}", role.language, relevant)
            breadth = narrowness(place_of(boundary).kind), names
            if await self._trials.allowed([*parts, Part(held, grant, by_place, breadth)]):
                return Repair(
                    RepairKind.CREATE_GRANT, breadth, _name(role), subject, role_id=role.id, boundary=boundary
                )
        return None


async def tried_memberships(
    trials: Trials, turns: Turns, holdings: Holdings, parts: Sequence[Part], found: list[Repair]
) -> None:
    """Add every membership that would do."""
    asked, standing = trials.asked, holdings.standing
    by_group = await _parts_by_group(holdings, asked.whole_request(asked.places[0], by_place=False), turns)
    allowing = {group for group, held in by_group.items() if any(_may_allow(part.statements) for part in held)}
    joinable: list[tuple[Breadth, str, GroupId, list[Part]]] = []
    for group in holdings.groups.values():
        chain = [each for each in _chain(holdings, group.id) if each not in standing.group_ids]
        if group.id in standing.group_ids or allowing.isdisjoint(chain):
            continue
        gained = [part for each in chain for part in by_group.get(each, ())]
        boundary = max(part.breadth[0] for part in gained)
        joinable.append(((boundary, sum(part.breadth[1] for part in gained)), group.name, group.id, gained))
    joinable.sort(key=lambda each: each[:3])
    for breadth, name, group_id, gained in joinable:
        if await trials.allowed([*parts, *gained]):
            subject = Subject.of(standing.principal.ref)
            found.append(Repair(RepairKind.ADD_MEMBER, breadth, name, subject, group_id=group_id))
        await turns.pause()


async def _parts_by_group(holdings: Holdings, request: Request, turns: Turns) -> dict[GroupId, list[Part]]:

    groups: list[GroupId] = []
    held: list[Held] = []
    origins: list[StoredPolicy | Grant] = []
    for group, sources in holdings.by_group.items():
        compiled = await turns.run(held_steps(sources))
        held.extend(compiled)
        origins.extend(origins_of(sources))
        groups.extend([group] * len(compiled))
    library = await turns.run(library_steps([each.policy for each in held]))
    found: dict[GroupId, list[Part]] = {}
    for group, part in zip(groups, parts_of(held, origins, library.about(request)), strict=True):
        found.setdefault(group, []).append(part)
    return found


def candidate_boundaries(trials: Trials, holdings: Holdings, known_projects: frozenset[ProjectId]) -> list[Boundary]:
    """Return the boundaries within which the act may lie, narrowest first."""
    asked = trials.asked
    request = asked.whole_request(asked.places[0], by_place=True)
    resource, organization = request.resource, holdings.standing.organization
    found: list[Boundary] = []
    owner = organization.owner_user_id
    if owner is not None and resource.owner_user_id == owner:
        found.append(Boundary(BoundaryKind.OWNER_ACCOUNT, owner_user_id=owner))
    projects = asked.check.project_ids or tuple(ProjectId(each) for each in (request.project_id,) if each)
    if projects and known_projects.issuperset(projects):
        found.append(Boundary(BoundaryKind.PROJECTS, project_ids=tuple(projects)))
    groups = [GroupId(each) for each in resource.group_ids or () if each in holdings.groups]
    if groups:
        # In whichever of them it is held, it covers the act; the lowest covers the least beside it.
        lowest = max(groups, key=lambda each: (len(_chain(holdings, each)), each))
        found.append(Boundary(BoundaryKind.GROUP_SUBTREE, group_id=lowest))
    if request.subject.division_ids and resource.division_ids:
        found.append(Boundary(BoundaryKind.OWN_DIVISIONS))
    found.append(Boundary(BoundaryKind.ORGANIZATION, organization_id=asked.organization_id))
    return found


def supplied_library_steps(like: Grant) -> Steps:
    """Compile the roles that are the same everywhere."""
    return role_library_steps(supplied_roles().values(), {}, like)


def like_of(trials: Trials) -> Grant:
    """Return a grant to the subject, of no role yet."""
    asked = trials.asked
    return Grant(
        id=_TRIED,
        organization_id=asked.organization_id,
        create_time=asked.now,
        update_time=asked.now,
        subject=Subject.of(asked.entry.standing.principal.ref),
        role_id=RoleId(""),
        boundary=Boundary(BoundaryKind.ORGANIZATION, organization_id=asked.organization_id),
        role_language="",
    )


def _granted(like: Grant, role: Role, boundary: Boundary) -> Grant:
    return replace(like, role_id=role.id, boundary=boundary, role_language=role.language, role_catalogue=role.catalogue)


def _widest(role: Role, like: Grant) -> Boundary:
    if role.boundary_kind is BoundaryKind.OWNER_ACCOUNT:
        return Boundary(BoundaryKind.OWNER_ACCOUNT, owner_user_id="anybody")
    return like.boundary


def _chain(holdings: Holdings, group_id: GroupId) -> list[GroupId]:
    """Return a group and those above it, as far as they are known. A loop ends where it began."""
    chain: list[GroupId] = []
    at: GroupId | None = group_id
    while at is not None and at not in chain:
        chain.append(at)
        group = holdings.groups.get(at)
        at = None if group is None else group.parent_id
    return chain


def _may_allow(statements: Iterable[Statement]) -> bool:
    return any(each.effect is Effect.ALLOW for each in statements)


def _name(role: Role) -> str:
    return role.handle or role.name.text
