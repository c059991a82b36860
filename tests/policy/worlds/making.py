"""Makes organizations: who is in which group, and who holds what."""

from collections.abc import Sequence
from dataclasses import dataclass

from concord.policy.catalogues.loader import CATALOGUES, baselines, load_catalogue
from concord.policy.engine.model import Boundary, BoundaryKind
from policy.spec import Document, Grant, Role, Supplied, World
from policy.spec.world import EVERYONE, NOBODY
from policy.worlds import words
from policy.worlds.asking import Asker
from policy.worlds.writing import Writer


@dataclass
class Maker(Writer, Asker):
    """Makes one world after the other, and questions about them."""

    def world(self, main: str) -> World:
        """Make a world whose documents are mostly, or all, in one language."""
        pure = self.chance(0.5)
        parents = self._parents()
        roles: dict[str, Role] = {}
        for number in range(self.random.randint(1, 4)):
            role = self._role(words.made_id("e", number), self._language(main, pure), list(roles.values()))
            roles[role.id] = role
        holders = (*words.USERS, *words.GROUPS[:4], *words.GROUPS[:4], EVERYONE, EVERYONE)
        documents = [
            Document(words.made_id("d", number), self._holder(holders), language, self.document(language))
            for number in range(self.random.randint(2, 6))
            for language in [self._language(main, pure)]
        ]
        grants = [
            Grant(words.made_id("f", number), self._holder(holders), role.id, role.language, self._grant_boundary(role))
            for number in range(self.random.randint(0, 5))
            for role in [self.pick(list(roles.values()))]
        ]
        if self.chance(0.08):
            gone = Grant(
                words.made_id("f", 90), self._holder(holders), words.made_id("e", 90), self._language(main, pure)
            )
            grants.append(gone)
        return World(
            owner=words.OWNER,
            parents=parents,
            members={
                group: frozenset(self.random.sample(words.USERS, self.random.randint(1, 3))) for group in words.GROUPS
            },
            documents=tuple(documents),
            roles=roles,
            grants=tuple(grants),
            supplied=supplied(),
            baseline=baseline(),
        )

    def _language(self, main: str, pure: bool) -> str:
        return main if pure or self.chance(0.5) else self.pick(words.LANGUAGES)

    def _parents(self) -> dict[str, str]:
        """Groups below groups, five levels deep at most."""
        parents: dict[str, str] = {}
        depth: dict[str, int] = {"": 0}
        shuffled = self.random.sample(words.GROUPS, len(words.GROUPS))
        for group in shuffled:
            above = self.pick([each for each in ("", *parents) if depth[each] < 5])
            parents[group] = above
            depth[group] = depth[above] + 1
        return parents

    def _holder(self, holders: Sequence[str]) -> str:
        return NOBODY if self.chance(0.03) else self.pick(holders)

    def _role(self, role_id: str, language: str, others: Sequence[Role]) -> Role:
        alike = [each for each in others if each.language == language and each.boundary_kind is BoundaryKind.PROJECTS]
        if alike and self.chance(0.35):
            included = tuple(each.id for each in self.random.sample(alike, self.random.randint(1, len(alike))))
            if language in ("statements", "resource_roles", "role_rules") and self.chance(0.5):
                plain = [each for each in alike if not each.includes and '"operations"' not in each.text]
                if plain:
                    kind = (
                        self.pick(words.TYPES)
                        if language == "resource_roles"
                        else self.pick(("identity.users", "shop.orders"))
                    )
                    return Role(role_id, language, includes=(self.pick(plain).id,), resource_type=kind)
            return Role(role_id, language, includes=included)
        kind = BoundaryKind.OWNER_ACCOUNT if self.chance(0.03) else BoundaryKind.PROJECTS
        if self.chance(0.5 if language == "role_rules" else 0.25):
            if language == "resource_roles":
                permissions = tuple(f"{self.pick(words.TYPES)}.{self.pick((*words.TYPE_VERBS, '*'))}" for _ in range(2))
            else:
                permissions = tuple(self.pattern() for _ in range(self.random.randint(1, 2)))
            return Role(role_id, language, permissions=permissions, boundary_kind=kind)
        return Role(role_id, language, self.document(language, in_role=True), boundary_kind=kind)

    def _grant_boundary(self, role: Role) -> Boundary:
        if self.chance(0.4):
            return Boundary()
        match role.language:
            case "statements":
                return self.pick((self._projects(), self._subtree(), Boundary(BoundaryKind.OWN_DIVISIONS), _OWNERS))
            case "role_rules":
                return self._projects()
            case "resource_roles":
                return Boundary(BoundaryKind.OWN_DIVISIONS)
            case "endpoint_scopes":
                return self.pick((self._projects(), self._subtree()))
        return Boundary()

    def _projects(self) -> Boundary:
        return Boundary(BoundaryKind.PROJECTS, project_ids=frozenset(self.some(words.PROJECTS, 2)))

    def _subtree(self) -> Boundary:
        return Boundary(BoundaryKind.GROUP_SUBTREE, group_id=self.pick(words.GROUPS))


_OWNERS = Boundary(BoundaryKind.OWNER_ACCOUNT, owner_user_id=words.OWNER)


def supplied() -> dict[str, Supplied]:
    """Return the roles that documents may name."""
    wanted = (*words.SUPPLIED_FOR_ORGANIZATION, *words.SUPPLIED_FOR_PROJECTS)
    roles = {role.name: role for name in CATALOGUES for role in load_catalogue(name).roles()}
    return {name: Supplied(roles[name].permissions, roles[name].boundary_kind) for name in wanted}


def baseline() -> dict[str, tuple[str, ...]]:
    """Return what everybody may do with its own credentials, and through each dialect."""
    return {
        "" if policy.id == "baseline:own" else policy.id.removeprefix("baseline:"): tuple(
            p for statement in policy.statements for p in statement.permissions
        )
        for policy in baselines()
    }
