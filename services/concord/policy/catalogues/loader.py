"""Typed, cached access to the supplied catalogues. Nothing here ever changes while a process runs."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from concord.kernel.ids import RoleId, derive
from concord.policy.engine.model import BoundaryKind, Policy
from concord.policy.languages import RoleView, baseline

_FOLDER = files("concord.policy.catalogues")
_HEAD = "catalogue.json"
# Other folders only tell the languages of a dialect.
CATALOGUES = tuple(sorted(each.name for each in _FOLDER.iterdir() if each.joinpath(_HEAD).is_file()))

_SCOPE_TYPES = {
    "organization": BoundaryKind.ORGANIZATION,
    "projects": BoundaryKind.PROJECTS,
    "account_root_user": BoundaryKind.OWNER_ACCOUNT,
}
_ANY_VALUE = "*"

# Whoever proves who he is may keep the proof in order and end what it opened, else a temporary password, a renewal
# or a second factor that is demanded would lock people out for want of a right. A deny takes it away, and a lowered
# credential has only what its ceiling names.
_OWN_CREDENTIALS = baseline(
    "",
    (
        "credentials.own_passwords.change",
        "credentials.own_passwords.check",
        "credentials.own_mfa_devices.create",
        "credentials.own_mfa_devices.confirm",
        "credentials.own_mfa_devices.list",
        "credentials.own_mfa_devices.delete",
        "credentials.own_recovery_codes.replace",
        "credentials.own_grace_periods.list",
        "credentials.own_sessions.get",
        "credentials.own_sessions.list",
        "credentials.own_sessions.renew",
        "credentials.own_sessions.revoke",
        "credentials.own_authorizations.create",
    ),
)


@dataclass(frozen=True, slots=True)
class SuppliedRole:
    """A role that the catalogue brings; the same in every organization."""

    id: RoleId
    name: str
    description: str
    categories: tuple[str, ...]
    boundary_kind: BoundaryKind
    permissions: tuple[str, ...]

    def view(self) -> RoleView:
        """Return what languages have to know of it."""
        return RoleView(self.name, self.permissions, self.boundary_kind)


@dataclass(frozen=True, slots=True)
class BirthRule:
    """A rule of a birth policy; its boundary is the whole organization or the default project."""

    role_names: tuple[str, ...]
    in_default_project: bool


@dataclass(frozen=True, slots=True)
class BirthPolicy:
    """A policy that an organization is born with, held by the birth group of the same catalogue."""

    name: str
    group: str
    rules: tuple[BirthRule, ...]


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of one rpc an operation stands for.

    `update_mask` None means that the rpc takes no mask. Pinned values are written as in the
    contract's JSON form; a list is its values, sorted and joined with commas, in whatever order a
    request has them; `*` is any value.
    """

    update_mask: frozenset[str] | None = None
    pinned: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def fits(self, update_mask: Collection[str], pinned: Mapping[str, str]) -> bool:
        """Tell whether a request does nothing beyond this. An empty mask would mean every field."""
        if self.update_mask is not None and (not update_mask or not self.update_mask.issuperset(update_mask)):
            return False
        if self.update_mask is None and update_mask:
            return False
        return all(self._allows(path, value) for path, value in pinned.items())

    def _allows(self, path: str, value: str) -> bool:
        allowed = self.pinned.get(path)
        if allowed is None:
            # What the operation does not speak of stays as if the request had not said it.
            return value in ("", "0", "false") or value.endswith("_UNSPECIFIED")
        return ",".join(sorted(value.split(","))) in allowed or _ANY_VALUE in allowed


@dataclass(frozen=True, slots=True)
class Operation:
    """A vendor operation: the permission it stands for, those it carries along, and what it covers of each rpc."""

    name: str
    primary_permission: str
    carries: tuple[str, ...]
    covers: Mapping[str, Covered]

    def covers_call(self, rpc: str, update_mask: Collection[str], pinned: Mapping[str, str]) -> bool:
        """Tell whether a call of this rpc does nothing that the operation would not."""
        covered = self.covers.get(rpc)
        return covered is not None and covered.fits(update_mask, pinned)


class Catalogue:
    """One catalogue's supplied definitions."""

    def __init__(
        self,
        *,
        name: str,
        language: str,
        roles: Collection[SuppliedRole],
        operations: Collection[Operation],
        birth_policies: Collection[BirthPolicy],
        baseline_permissions: Collection[str],
        product_services: Collection[str],
    ) -> None:
        self.name = name
        self.language = language
        self.product_services = frozenset(product_services)
        self.baseline = baseline(name, baseline_permissions)
        self._roles = tuple(roles)
        self._birth_policies = tuple(birth_policies)
        self._by_name = {role.name: role for role in self._roles}
        self._operations = {operation.name: operation for operation in operations}
        self._by_rpc: dict[str, list[Operation]] = {}
        for operation in operations:
            for rpc in operation.covers:
                self._by_rpc.setdefault(rpc, []).append(operation)

    def roles(self) -> tuple[SuppliedRole, ...]:
        """Return all supplied roles, by name."""
        return self._roles

    def find_role(self, name: str) -> RoleView | None:
        """Return a role in the form that languages look it up."""
        role = self._by_name.get(name)
        return role.view() if role is not None else None

    def birth_policies(self) -> tuple[BirthPolicy, ...]:
        """Return the policies that an organization with this catalogue is born with."""
        return self._birth_policies

    def operations(self) -> Mapping[str, Operation]:
        """Return the operations by `dialect/Name`."""
        return MappingProxyType(self._operations)

    def operation(self, name: str) -> Operation | None:
        """Return the operation `dialect/Name`, if there is one."""
        return self._operations.get(name)

    def covering(self, rpc: str, update_mask: Collection[str], pinned: Mapping[str, str]) -> tuple[str, ...]:
        """Return the operations of which each covers all that a call of this rpc would do."""
        touched = self._by_rpc.get(rpc, ())
        return tuple(operation.name for operation in touched if operation.covers_call(rpc, update_mask, pinned))

    def touching(self, rpc: str) -> tuple[str, ...]:
        """Return the operations that cover any part of this rpc."""
        return tuple(operation.name for operation in self._by_rpc.get(rpc, ()))


@lru_cache(maxsize=16)
def load_catalogue(name: str) -> Catalogue:
    """Return a supplied catalogue; LookupError for a name that is none."""
    if name not in CATALOGUES:
        raise LookupError(f"no catalogue `{name}`")
    head = _read(name, _HEAD)
    return Catalogue(
        name=head["name"],
        language=head["language"],
        roles=[_role(name, row) for row in _read(name, "permission_sets.json")["permission_sets"]],
        operations=[_operation(row) for row in _read(name, "operations.json")["operations"]],
        birth_policies=[_birth_policy(row) for row in _read(name, "birth.json")["policies"]],
        baseline_permissions=head["baseline"],
        product_services=_read(name, "services.json")["products"].values(),
    )


def find_operation(name: str) -> Operation | None:
    """Return the operation `dialect/Name` of whichever catalogue has it."""
    dialect = name.partition("/")[0]
    return load_catalogue(dialect).operation(name) if dialect in CATALOGUES else None


def baselines() -> tuple[Policy, ...]:
    """Return what every principal may do without a grant: with its own credentials, and through each dialect."""
    return (_OWN_CREDENTIALS, *(load_catalogue(name).baseline for name in CATALOGUES))


def _read(catalogue: str, file: str) -> dict[str, Any]:
    text = _FOLDER.joinpath(catalogue, file).read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _role(catalogue: str, row: Mapping[str, Any]) -> SuppliedRole:
    return SuppliedRole(
        id=derive(RoleId, catalogue, row["name"]),
        name=row["name"],
        description=row["description"],
        categories=tuple(row["categories"]),
        boundary_kind=_SCOPE_TYPES[row["scope_type"]],
        permissions=tuple(row["permissions"]),
    )


def _birth_policy(row: Mapping[str, Any]) -> BirthPolicy:
    rules = (BirthRule(tuple(rule["role_names"]), rule["boundary"] == "default_project") for rule in row["rules"])
    return BirthPolicy(row["name"], row["group"], tuple(rules))


def _operation(row: Mapping[str, Any]) -> Operation:
    return Operation(
        name=row["name"],
        primary_permission=row["primary_permission"],
        carries=tuple(row["carries"]),
        covers=MappingProxyType({rpc: _covered(covered) for rpc, covered in row["covers"].items()}),
    )


def _covered(row: Mapping[str, Any]) -> Covered:
    mask = row.get("update_mask")
    pinned = {path: frozenset(values) for path, values in row.get("pinned", {}).items()}
    return Covered(frozenset(mask) if mask is not None else None, MappingProxyType(pinned))
