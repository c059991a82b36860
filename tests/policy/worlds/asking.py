"""Questions about the principals of a world."""

from dataclasses import dataclass, replace
from typing import Any

from concord.policy.engine.model import Context, Request, Resource, Subject
from policy.worlds import words
from policy.worlds.chance import Chance


@dataclass(frozen=True)
class Question:
    """One question about a principal of a world."""

    principal: str
    request: Request
    ceiling: tuple[str, ...] = ()


@dataclass
class Asker(Chance):
    """Puts one question after the other."""

    def question(self, main: str) -> Question:
        """Ask about what worlds of a language mostly say."""
        principal = words.OWNER if self.chance(0.02) else self.pick(words.USERS)
        asked = main if self.chance(0.85) else self.pick(words.LANGUAGES)
        request = replace(self._request(principal), **getattr(self, f"_asking_{asked}")())
        ceiling: tuple[str, ...] = ()
        if self.chance(0.1):
            wide = ("identity.*.*", "shop.*.*", "soracom/*", "*", "IAMUserManager", "openid", "iam.*.*", "ntt/*")
            ceiling = tuple(self.some(wide, 2))
        return Question(principal, request, ceiling)

    def _request(self, principal: str) -> Request:
        divisions = (None, frozenset[str](), frozenset({"d1"}), frozenset({"d1", "d2"}), frozenset({"d3"}))
        names = ("", "web", "ci-1")
        attributes: dict[str, str] = {"member_kind": self.pick(("customer", "employee"))} if self.chance(0.5) else {}
        if self.chance(0.2):
            attributes["colour"] = "red"
        resource = Resource(
            type="thing",
            id=self.pick(("", "r1", "r3")),
            name=self.pick(names),
            locality=self.pick(("", "fr-par")),
            group_ids=self.pick(
                (None, frozenset[str](), frozenset(self.some(words.GROUPS, 3)), frozenset(self.some(words.GROUPS, 3)))
            ),
            division_ids=self.pick(divisions),
            owner_user_id=self.pick((None, "", words.OWNER, words.USERS[0])),
            attributes=attributes,
        )
        project = self.pick(("", "", *words.PROJECTS, words.STRANGE_PROJECT))
        return Request(
            permission="",
            subject=Subject("user", principal, words.NAMES[principal], self.pick(divisions)),
            covering=(self.pick(words.OPERATIONS),) if self.chance(0.1) else (),
            touching=tuple(self.some(words.OPERATIONS, 2)) if self.chance(0.15) else (),
            resource=resource,
            organization_id=words.ORGANIZATION,
            project_id=project,
            anywhere=not project and self.chance(0.3),
            context=self._context(),
            operation_stands=not self.chance(0.1),
            path_stands=not self.chance(0.1),
        )

    def _context(self) -> Context:
        return Context(
            ip=self.pick(words.ADDRESSES),
            time=self.pick(words.TIMES),
            user_agent=self.pick(("", "curl/8", "scaleway-cli/2")),
            mfa=self.pick((True, False, None)),
            attributes=self.pick(({}, {"colour": "red"}, {"colour": "blue"})),
        )

    def _called(self, path: str, method: str) -> dict[str, Any]:
        variables = self.pick(({}, {"user_name": "alice"}, {"user_name": "bob"}))
        return {"context": replace(self._context(), path=path, method=method, path_variables=variables)}

    def _asking_statements(self) -> dict[str, Any]:
        operation = self.pick(words.OPERATIONS) if self.chance(0.3) else ""
        return {"permission": self.pick(words.PERMISSIONS), "operation": operation}

    _asking_role_rules = _asking_statements

    def _asking_call_statements(self) -> dict[str, Any]:
        asked = self._called(self.pick(("", "/iam/users", "/shop")), self.pick(words.METHODS))
        return {**asked, "permission": self.pick(words.PERMISSIONS), "operation": f"soracom/{self.pick(words.CALLS)}"}

    def _asking_endpoint_rows(self) -> dict[str, Any]:
        if self.chance(0.15):
            return {"permission": self.pick(words.PERMISSIONS), "operation": self.pick(words.ROWS_OWN)}
        return self._called("" if self.chance(0.05) else self.pick(words.CALLED), self.pick(words.METHODS))

    def _asking_resource_roles(self) -> dict[str, Any]:
        if self.chance(0.25):
            return {"operation": self.pick(words.SCOPED)}
        joint = self.pick(("_", "_", "."))
        # Without a stop the verb is rather one that narrows nothing: those are never held with their suffix.
        verb = self.pick(words.TYPE_VERBS) if joint == "_" else self.pick(("read", "read", "create", "manage", "list"))
        return {"permission": f"{self.pick(words.TYPES)}{joint}{verb}"}

    def _asking_endpoint_scopes(self) -> dict[str, Any]:
        if self.chance(0.15):
            return {"permission": f"iscp.messages.{self.pick(words.MESSAGES)}"}
        path = self.pick(words.STRANGE_PATHS) if self.chance(0.1) else self.pick(words.PATHS)
        return {**self._called(path, self.pick(words.METHODS)), "project_id": "", "anywhere": False}
