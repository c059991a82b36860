"""What the documents of the six languages mean: each entry becomes lines that allow or deny."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from concord.policy.engine.model import Boundary, BoundaryKind, Request
from policy.spec import call_conditions, conditions
from policy.spec.acts import CORE, comes_from, holds_within, operation_matches, permission_matches
from policy.spec.calls import endpoint_fits, rest_fits, row_fits
from policy.spec.deciding import Line


@dataclass(frozen=True)
class Supplied:
    """A role that the platform supplies: documents name it."""

    permissions: tuple[str, ...]
    boundary_kind: BoundaryKind


SuppliedRoles = Mapping[str, Supplied]
# One entry of a document: a statement, rule, row, verb, access control or scope; or the list of a role's permissions.
Entry = Mapping[str, Any]

# Where what a language says may hold, when a role of it is given to somebody.
PLACES: Mapping[str, tuple[BoundaryKind, ...]] = {
    "statements": tuple(BoundaryKind),
    "role_rules": (BoundaryKind.ORGANIZATION, BoundaryKind.PROJECTS, BoundaryKind.OWNER_ACCOUNT),
    "call_statements": (BoundaryKind.ORGANIZATION,),
    "endpoint_rows": (BoundaryKind.ORGANIZATION,),
    "resource_roles": (BoundaryKind.ORGANIZATION, BoundaryKind.OWN_DIVISIONS),
    "endpoint_scopes": (BoundaryKind.ORGANIZATION, BoundaryKind.PROJECTS, BoundaryKind.GROUP_SUBTREE),
}
# Of the languages that a holder has several sources in, this one wants all of them to allow.
ALL_MUST_ALLOW = ("endpoint_rows",)
# To whom the paths of a place belong decides which scopes count there.
PATHS_OF = {
    BoundaryKind.ORGANIZATION: "other",
    BoundaryKind.PROJECTS: "project",
    BoundaryKind.GROUP_SUBTREE: "group",
}
ROW_OPERATIONS = {
    "ntt/listUsers": ("GET", "/users"),
    "ntt/getUser": ("GET", "/users/{userId}"),
    "ntt/createUsers": ("POST", "/users"),
    "ntt/listGroups": ("GET", "/groups"),
    "ntt/attachUserToGroup": ("PUT", "/groups/{groupId}/users/{userId}"),
}
SCOPE_OPERATIONS = {
    "iam.group_read": (
        "GET-iam-list-tenant-user-groups",
        "GET-iam-retrieve-users-group",
        "GET-iam-retrieve-user-groups",
        "GET-iam-retrieve-user-group",
    ),
    "iam.group_read_own": ("GET-iam-list-tenant-user-groups",),
    "iam.group_manage": ("POST-iam-create-user-group", "PUT-iam-update-user-group", "DELETE-iam-remove-user-group"),
    "iam.assignment_manage": (
        "POST-iam-add-user-to-group",
        "PUT-iam-update-user-to-group",
        "DELETE-iam-remove-user-from-group",
        "DELETE-iam-remove-all-users",
        "DELETE-iam-remove-user-from-all-groups",
    ),
    "iam.assignment_create_own": ("POST-iam-add-user-to-group",),
    "iam.user_read": (
        "GET-iam-list-group-users",
        "GET-iam-list-users-with-groups",
        "GET-iam-retrieve-user-and-groups",
        "GET-iam-list-users-with-groups-vendor",
    ),
    "iam.user_read_own": ("GET-iam-list-group-users",),
    "iam.user_create": ("POST-iam-create-user",),
    "iam.user_update": ("PUT-iam-update-user",),
    "iam.user_delete": ("DELETE-iam-remove-user-from-md",),
}


def entries_of(language: str, content: Mapping[str, Any]) -> list[Entry]:
    """Return the entries of a document."""
    if language == "endpoint_scopes" and "roles" not in content:
        return [content]
    (rows,) = content.values()
    return list(rows)


def lines_of(language: str, name: str, entry: Entry, within: Boundary | None, supplied: SuppliedRoles) -> list[Line]:
    """Return what an entry says; `within` is where a role that has it was given, None for a document held directly."""
    match language:
        case "statements":
            return [_statement(name, entry, within)]
        case "role_rules":
            return [_rule(name, entry, within, supplied)] if _rule_may_hold(entry, within, supplied) else []
        case "call_statements":
            return [_call_statement(name, entry, within)]
        case "endpoint_rows":
            return [_row(name, entry, within)]
        case "resource_roles":
            return _resource_role(name, entry, within, supplied)
    return _scope(name, entry, within, supplied)


def listed(name: str, permissions: Iterable[str], within: Boundary) -> Line:
    """A list of permissions means itself."""
    return _line(name, False, lambda request: _permits(permissions, request), within)


def boundary_of(written: Mapping[str, Any] | None) -> Boundary:
    """Return a boundary as it was written; none is the whole organization."""
    row = written or {}
    kind = BoundaryKind(row.get("kind", "organization"))
    return Boundary(kind, "", frozenset(row.get("project_ids", ())), row.get("group_id", ""))


def _line(name: str, deny: bool, about: Callable[[Request], bool], *within: Boundary | None) -> Line:
    """Return a line that speaks where all the boundaries hold."""
    boundaries = [each for each in within if each is not None]
    return Line(
        name,
        deny,
        lambda request, place: about(request) and all(holds_within(b, request, deny, place) for b in boundaries),
    )


def _permits(patterns: Iterable[str], request: Request, deny: bool = False) -> bool:
    return any(permission_matches(pattern, request.permission, deny) for pattern in patterns)


def _holds(condition: conditions.Condition, request: Request, deny: bool) -> bool:
    """A condition that cannot be answered does not allow, and does not lift a deny."""
    said = condition(request)
    return deny if said is None else said


def _statement(name: str, entry: Entry, within: Boundary | None) -> Line:
    deny = entry["effect"] == "deny"
    condition = conditions.read(entry.get("condition", ""))

    def about(request: Request) -> bool:
        named = _permits(entry.get("permissions", ()), request, deny)
        named = named or operation_matches(entry.get("operations", ()), request, deny)
        return named and _holds(condition, request, deny)

    return _line(name, deny, about, boundary_of(entry.get("boundary")), within)


def _rule(name: str, entry: Entry, within: Boundary | None, supplied: SuppliedRoles) -> Line:
    condition = conditions.read(entry.get("condition", ""))
    permissions = [p for role in entry["role_names"] if role in supplied for p in supplied[role].permissions]

    def about(request: Request) -> bool:
        return _permits(permissions, request) and _holds(condition, request, False)

    return _line(name, False, about, boundary_of(entry.get("boundary")), within)


def _rule_may_hold(entry: Entry, within: Boundary | None, supplied: SuppliedRoles) -> bool:
    """Whether the roles that a rule names may be held where the rule is given: those for projects everywhere too."""
    if within is None:
        return True
    kinds = {supplied[role].boundary_kind for role in entry.get("role_names", ()) if role in supplied}
    wide = {BoundaryKind.PROJECTS} if within.kind is BoundaryKind.ORGANIZATION else set()
    return kinds <= {within.kind} | wide


def _call_statement(name: str, entry: Entry, within: Boundary | None) -> Line:
    deny = entry["effect"] == "deny"
    condition = call_conditions.read(entry.get("condition", ""))
    calls = [entry["api"]] if isinstance(entry["api"], str) else entry["api"]

    def about(request: Request) -> bool:
        named = operation_matches([f"soracom/{call}" for call in calls], request, deny)
        return named and _holds(condition, request, deny)

    return _line(name, deny, about, within)


def _row(name: str, entry: Entry, within: Boundary | None) -> Line:
    base, path, verb = entry["basePath"], entry["path"], entry["verb"].upper()
    network = entry["ipAddress"]
    further = {key: value for key, value in entry.items() if key not in ("basePath", "path", "verb", "ipAddress")}
    # A call of this platform is judged by its operation: by the path that its documentation gives it, in
    # which placeholders are values that nobody knows.
    own = [
        operation
        for operation, (its_verb, its_path) in ROW_OPERATIONS.items()
        if verb in ("*", its_verb) and _is_own_base(base) and rest_fits(path, its_path)
    ]

    def about(request: Request) -> bool:
        called = request.path_stands and row_fits(base, path, verb, request.context.path, request.context.method)
        return (
            (called or operation_matches(own, request, False))
            and (network == "*" or comes_from([network], request, False))
            and all(_parameter_fits(request.context.attributes.get(key), value) for key, value in further.items())
        )

    return _line(name, False, about, within)


def _is_own_base(base: str) -> bool:
    base = base.removeprefix("/v1") if base.startswith("/v1/") else base
    return "/iam".startswith(base[:-1]) if base.endswith("*") else base.rstrip("/") == "/iam"


def _parameter_fits(given: str | None, wanted: str) -> bool:
    if wanted == "*":
        return True
    if given is None:
        return False
    return given.startswith(wanted[:-1]) if wanted.endswith("*") else given == wanted


def _resource_role(name: str, entry: Entry, within: Boundary | None, supplied: SuppliedRoles) -> list[Line]:
    boundary = boundary_of(entry.get("boundary"))
    if "role_name" in entry:
        role = supplied.get(entry["role_name"])
        permissions = [] if role is None else narrowed(role.permissions, entry["resource_type"])
    elif "permissions" in entry:
        permissions = list(entry["permissions"])
    else:
        permissions = [f"{kind}.{entry['verb']}" for kind in entry.get("resource_types", ["*.*"])]
    own = Boundary(BoundaryKind.OWN_DIVISIONS)
    found: list[Line] = []
    for permission in permissions:
        service, resource, verb = in_three(permission)
        if "*" in (service, resource):
            # A role that is held on no type of resource is no right.
            continue
        kind = f"{service}.{resource}"
        # `a.b_c` and `d` would be written as `a.b` and `c_d` are: one of the two has no scope.
        scope = "" if "_" in resource or verb == "*" else f"{kind}_{verb}"
        narrow = verb.endswith(("_own", "_by_vendor"))
        of_customers = scope == "iam.group_read_own"
        found.append(_scope_itself(name, scope, boundary, within))
        found.append(
            _meant_by(name, kind, verb, scope, of_customers, own if narrow and not of_customers else boundary, within)
        )
    return found


def _scope_itself(name: str, scope: str, boundary: Boundary, within: Boundary | None) -> Line:
    return _line(name, False, lambda request: scope != "" and request.permission == scope, boundary, within)


def _meant_by(
    name: str, kind: str, verb: str, scope: str, of_customers: bool, boundary: Boundary, within: Boundary | None
) -> Line:
    """What a scope lets one do: the permission without what narrows it, and the operations that need it."""
    plain = verb
    for suffix in ("_own", "_by_vendor"):
        if verb.endswith(suffix):
            plain = verb.removesuffix(suffix)
    operations = [f"emporix/{operation}" for operation in SCOPE_OPERATIONS.get(scope, ())]

    def about(request: Request) -> bool:
        named = _permits([f"{kind}.{plain}"], request) or operation_matches(operations, request, False)
        return named and (not of_customers or request.resource.attributes.get("member_kind") == "customer")

    return _line(name, False, about, boundary, within)


def in_three(permission: str) -> tuple[str, str, str]:
    """Return service, resource and verb, of a scope too."""
    parts = permission.split(".")
    if len(parts) == 2 and "_" in parts[1]:
        resource, _, verb = parts[1].partition("_")
        return parts[0], resource, verb
    if permission == "*":
        return "*", "*", "*"
    return parts[0], parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else ""


def narrowed(permissions: Iterable[str], resource_type: str) -> list[str]:
    """Return what is left of a role's permissions on one type of resource."""
    wanted_service, wanted_resource = resource_type.split(".")
    found: list[str] = []
    for permission in permissions:
        service, resource, verb = in_three(permission)
        if resource == "*" and wanted_service in CORE and wanted_resource.startswith(("owner_", "default_")):
            # No star is about the owner's things, or about everyone's.
            continue
        if service in ("*", wanted_service) and resource in ("*", wanted_resource) and verb:
            found.append(f"{resource_type}.{verb}")
    return found


def denied_on(permissions: Iterable[str], resource_type: str) -> list[str]:
    """Return what is left of denied permissions on one type of resource: a deny touches all classes of a type."""
    wanted_service, wanted_resource = resource_type.split(".")
    classes = ("own_", "owner_", "default_") if wanted_service in CORE else ()
    found: list[str] = []
    for permission in permissions:
        service, resource, verb = in_three(permission)
        if service not in ("*", wanted_service):
            continue
        if resource in ("*", wanted_resource) or wanted_resource in [name + resource for name in classes]:
            found.append(f"{resource_type}.{verb}")
        elif resource in [name + wanted_resource for name in classes]:
            found.append(f"{wanted_service}.{resource}.{verb}")
    return found


def _scope(name: str, entry: Entry, within: Boundary | None, supplied: SuppliedRoles) -> list[Line]:
    boundary = within or boundary_of(entry.get("boundary"))
    if "role_names" in entry:
        permissions = [p for role in entry["role_names"] if role in supplied for p in supplied[role].permissions]
        return [_line(name, False, lambda request: _permits(permissions, request), boundary)]
    messages = [f"iscp.messages.{message}" for message in entry.get("allowed_iscp_messages", ())]
    allowed = [(row["path"], row["method"]) for row in entry.get("allowed_endpoints", ())]
    denied = [(row["path"], row["method"]) for row in entry.get("denied_endpoints", ())]

    def about(request: Request) -> bool:
        path, method = request.context.path, request.context.method
        if request.context.path_class != PATHS_OF[boundary.kind] or not path or not request.path_stands:
            return False
        if not any(endpoint_fits(glob, methods, path, method) for glob, methods in allowed):
            return False
        # Of a call whose method is unknown it is unknown whether it is one of the denied ones.
        return not any(endpoint_fits(glob, methods if method else "*", path, method) for glob, methods in denied)

    # Messages have no path, so neither denied endpoints nor the path's place narrow them.
    return [
        _line(name, False, about, boundary),
        _line(name, False, lambda request: _permits(messages, request), boundary),
    ]
