"""Writes documents in all six languages."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from policy.worlds import words
from policy.worlds.chance import Chance


@dataclass
class Writer(Chance):
    """Writes one document after the other."""

    conditions: list[str] = field(init=False)
    call_conditions: list[str] = field(init=False)

    def __post_init__(self) -> None:
        # To compile one takes a while: some worlds share theirs.
        self.conditions = [self._joined(words.CEL, words.CEL_WITHOUT_ANSWER, "&&", "||", "!", 2) for _ in range(90)]
        self.call_conditions = [
            self._joined(words.CALL_CONDITIONS, words.CALL_CONDITIONS_WITHOUT_ANSWER, "and", "or", "not ", 2)
            for _ in range(90)
        ]

    def document(self, language: str, *, in_role: bool = False) -> str:
        """Write a document; what roles say holds where they are given, so theirs name no place."""
        content = getattr(self, f"_{language}")(in_role)
        return json.dumps(content, indent=self.pick((None, 2)), ensure_ascii=self.chance(0.5))

    def _statements(self, in_role: bool) -> dict[str, Any]:
        return {"statements": [self._statement(in_role) for _ in range(self.random.randint(1, 3))]}

    def _statement(self, in_role: bool) -> dict[str, Any]:
        row: dict[str, Any] = {"effect": "deny" if self.chance(0.22) else "allow"}
        row["permissions"] = [self.pattern() for _ in range(self.random.randint(1, 2))]
        if self.chance(0.15):
            row["operations"] = [
                self.pick(("soracom/*", "scaleway/GetUser", "*Users", "ntt/*", "emporix/*-iam-*-user*"))
            ]
        self._narrow(row, in_role, ("projects", "group_subtree", "own_divisions", "owner_account"))
        return row

    def _role_rules(self, in_role: bool) -> dict[str, Any]:
        return {"rules": [self._rule(in_role) for _ in range(self.random.randint(1, 3))]}

    def _rule(self, in_role: bool) -> dict[str, Any]:
        for_projects = self.chance(0.4)
        row: dict[str, Any] = {
            "role_names": list(
                self.some(words.SUPPLIED_FOR_PROJECTS if for_projects else words.SUPPLIED_FOR_ORGANIZATION, 2)
            )
        }
        self._narrow(row, in_role, ("projects",) if for_projects else ())
        return row

    def _narrow(self, row: dict[str, Any], in_role: bool, kinds: Sequence[str]) -> None:
        if self.chance(0.35):
            row["condition"] = self.pick(self.conditions)
        if not in_role and kinds and self.chance(0.45):
            row["boundary"] = self._boundary(self.pick(kinds))

    def _boundary(self, kind: str) -> dict[str, Any]:
        if kind == "projects":
            return {"kind": kind, "project_ids": list(self.some(words.PROJECTS, 2))}
        return {"kind": kind, "group_id": self.pick(words.GROUPS)} if kind == "group_subtree" else {"kind": kind}

    def _call_statements(self, in_role: bool) -> dict[str, Any]:
        return {"statements": [self._call_statement() for _ in range(self.random.randint(1, 3))]}

    def _call_statement(self) -> dict[str, Any]:
        names = (*words.CALLS, "*", "Sim:*", "Sim:list*", "User:get*", "Elsewhere:unheardOf")
        api: Any = self.pick(names) if self.chance(0.5) else list(self.some(names, 2))
        row: dict[str, Any] = {"effect": "deny" if self.chance(0.25) else "allow", "api": api}
        if self.chance(0.45):
            row["condition"] = self.pick(self.call_conditions)
        return row

    def _endpoint_rows(self, in_role: bool) -> dict[str, Any]:
        return {"resources": [self._row() for _ in range(self.random.choice((0, 1, 1, 2, 2, 3)))]}

    def _row(self) -> dict[str, Any]:
        bases = (
            "*",
            "*",
            "*",
            "*",
            "/business-process",
            "/business-process",
            "/v1/business-process",
            "/ec-vcd/api",
            "/ec-vcd",
            "/iam",
            "/bus*",
            "/shop/orders",
        )
        paths = (
            "*",
            "*",
            "*",
            "*",
            "/contracts",
            "/contracts",
            "/contracts/*",
            "/contracts/12",
            "/con*",
            "/users",
            "/users/*",
            "/",
            "/groups",
        )
        row = {
            "basePath": self.pick(bases),
            "path": self.pick(paths),
            "verb": self.pick(("*", "*", "*", "GET", "get", "POST")),
            "ipAddress": self.pick(("*", "*", "*", "10.0.0.5/24", "192.0.2.7")),
        }
        if self.chance(0.12):
            row["colour"] = self.pick(("red", "re*", "*", "blue"))
        return row

    def _resource_roles(self, in_role: bool) -> dict[str, Any]:
        count = self.random.randint(1, 3)
        if in_role or self.chance(0.5):
            return {"permissions": [self._verb(in_role) for _ in range(count)]}
        return {"access_controls": [self._access_control() for _ in range(count)]}

    def _verb(self, in_role: bool) -> dict[str, Any]:
        row: dict[str, Any] = {"verb": self.pick(words.TYPE_VERBS)}
        if self.chance(0.6 if in_role else 0.95):
            row["resource_types"] = list(self.some(words.TYPES, 3))
        return row

    def _access_control(self) -> dict[str, Any]:
        row: dict[str, Any] = {
            "role_name": self.pick(words.SUPPLIED_FOR_ORGANIZATION),
            "resource_type": self.pick(words.TYPES),
        }
        if self.chance(0.4):
            row["boundary"] = {"kind": "own_divisions"}
        return row

    def _endpoint_scopes(self, in_role: bool) -> dict[str, Any]:
        if not in_role and self.chance(0.2):
            row: dict[str, Any] = {"role_names": list(self.some(words.SUPPLIED_FOR_ORGANIZATION, 2))}
            if self.chance(0.5):
                row["boundary"] = self._boundary(self.pick(("projects", "group_subtree")))
            return {"roles": [row]}
        scope: dict[str, Any] = {"allowed_endpoints": [self._endpoint() for _ in range(self.random.randint(1, 3))]}
        if self.chance(0.4):
            scope["denied_endpoints"] = [self._endpoint()]
        if self.chance(0.4):
            scope["allowed_iscp_messages"] = [self.pick((*words.MESSAGES, "*"))]
        return scope

    def _endpoint(self) -> dict[str, str]:
        paths = (
            "/**",
            "/**",
            "**",
            "/auth/users/*",
            "/auth/users/**",
            "/api/auth/users/*",
            "/auth/users/*/tokens",
            "/auth/**/tokens",
            "/*/projects/*",
            "/*/projects/**",
            "/auth/groups/**",
            "/v1/projects/*/e*s/**",
            "/v1/meas*",
            "/auth/**",
        )
        return {"path": self.pick(paths), "method": self.pick(("*", "*", "", "GET", "get", "P*", "*E*"))}

    def pattern(self) -> str:
        """Return a permission, with stars or without."""
        if self.chance(0.5):
            return self.pick(words.PERMISSIONS)
        if self.chance(0.12):
            return "*"
        parts = (self.pick(words.SERVICES), self.pick(words.THINGS), self.pick(words.VERBS))
        return ".".join("*" if self.chance(0.35) else part for part in parts)

    def _joined(
        self, plain: Sequence[str], unanswerable: Sequence[str], both: str, either: str, no: str, deep: int
    ) -> str:
        if deep == 0 or self.chance(0.35):
            return self.pick(unanswerable) if self.chance(0.1) else self.pick(plain)
        inner: Callable[[], str] = lambda: self._joined(plain, unanswerable, both, either, no, deep - 1)  # noqa: E731
        if self.chance(0.2):
            return f"{no}({inner()})"
        return (
            f"({inner()}) {self.pick((both, either))} ({inner()})"
            if self.chance(0.5)
            else f"{inner()} {both} {inner()}"
        )
