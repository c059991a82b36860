"""The supplied definitions agree with themselves, with the contracts, and with the engine."""

from collections.abc import Iterator
from importlib import import_module
from itertools import chain

import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor

from concord.common.v1 import options_pb2
from concord.kernel.ids import RoleId, derive, is_canonical
from concord.policy.catalogues.loader import (
    CATALOGUES,
    Catalogue,
    Covered,
    baselines,
    find_operation,
    load_catalogue,
)
from concord.policy.engine.match import CLASSED_SERVICES, permission_pattern_fault
from concord.policy.engine.model import BoundaryKind
from concord.policy.languages import LANGUAGES


@pytest.fixture(params=CATALOGUES)
def catalogue(request: pytest.FixtureRequest) -> Catalogue:
    return load_catalogue(request.param)


def _method(rpc: str) -> MethodDescriptor:
    service_name, _, method_name = rpc.partition("/")
    package, _, service = service_name.rpartition(".")
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in service).lstrip("_")
    module = import_module(f"{package}.{snake}_pb2")
    return module.DESCRIPTOR.services_by_name[service].methods_by_name[method_name]


def _covers(catalogue: Catalogue) -> Iterator[tuple[str, str, Covered]]:
    for operation in catalogue.operations().values():
        for rpc, covered in operation.covers.items():
            yield operation.name, rpc, covered


def _has_path(message: Descriptor, path: str) -> bool:
    name, _, rest = path.partition(".")
    field = message.fields_by_name.get(name)
    return field is not None and (not rest or _has_path(field.message_type, rest))


def test_a_name_that_is_no_catalogue_is_an_error() -> None:
    with pytest.raises(LookupError):
        load_catalogue("../scaleway")


def test_a_catalogue_is_read_once(catalogue: Catalogue) -> None:
    assert load_catalogue(catalogue.name) is catalogue
    assert catalogue.language in LANGUAGES


def test_supplied_roles_have_ids_that_follow_from_their_names(catalogue: Catalogue) -> None:
    for role in catalogue.roles():
        assert role.id == derive(RoleId, catalogue.name, role.name)
        assert is_canonical(role.id)


def test_all_permission_sets_are_there_with_their_scope_types() -> None:
    roles = load_catalogue("scaleway").roles()

    assert len(roles) == len({role.name for role in roles}) == 156
    assert sum(role.boundary_kind is BoundaryKind.ORGANIZATION for role in roles) == 26
    assert [role.name for role in roles] == sorted(role.name for role in roles)


def test_every_supplied_permission_is_a_pattern(catalogue: Catalogue) -> None:
    patterns = chain.from_iterable(role.permissions for role in catalogue.roles())
    ground = chain.from_iterable(statement.permissions for statement in catalogue.baseline.statements)

    for pattern in chain(patterns, ground):
        assert permission_pattern_fault(pattern) == ""


def test_no_supplied_role_reaches_the_owner_everyone_or_the_deployment(catalogue: Catalogue) -> None:
    forbidden = {
        "identity.organizations.create",
        "identity.organizations.delete",
        "identity.ownership.transfer",
        "policy.permissions.register",
        "policy.quotas.set",
        "credentials.signing_keys.rotate",
    }
    for role in catalogue.roles():
        for pattern in role.permissions:
            service, _, rest = pattern.partition(".")
            assert pattern not in forbidden
            if service in CLASSED_SERVICES:
                assert not rest.startswith(("*", "owner_", "default_", "organizations.*", "signing_keys", "changes"))
            assert service != "*"


def test_roles_of_projects_touch_no_core_service_but_the_keys_of_projects(catalogue: Catalogue) -> None:
    for role in catalogue.roles():
        if role.boundary_kind is BoundaryKind.PROJECTS:
            core = {p for p in role.permissions if p.partition(".")[0] in CLASSED_SERVICES}
            assert all(p.startswith("credentials.ssh_keys.") for p in core)


def test_the_roles_for_all_products_name_every_product() -> None:
    catalogue = load_catalogue("scaleway")
    roles = {role.name: role for role in catalogue.roles()}
    full, read = roles["AllProductsFullAccess"], roles["AllProductsReadOnly"]

    for service in catalogue.product_services:
        assert f"{service}.*.*" in full.permissions
        assert {f"{service}.*.{verb}" for verb in ("get", "list", "read")}.issubset(read.permissions)
    used = {
        p.partition(".")[0] for r in catalogue.roles() for p in r.permissions if r.boundary_kind.value == "projects"
    }
    assert used == catalogue.product_services | {"credentials"}


def test_birth_policies_pass_the_checks_of_their_language(catalogue: Catalogue) -> None:
    for policy in catalogue.birth_policies():
        for rule in policy.rules:
            roles = [catalogue.find_role(name) for name in rule.role_names]
            kinds = {role.boundary_kind if role is not None else None for role in roles}
            assert kinds == {BoundaryKind.PROJECTS} if rule.in_default_project else len(kinds) == 1


def test_birth_policies_have_the_recorded_numbers_of_rules_scopes_and_sets() -> None:
    counted = {
        policy.group: (
            len(policy.rules),
            len({rule.in_default_project for rule in policy.rules}),
            len(set(chain.from_iterable(rule.role_names for rule in policy.rules))),
        )
        for policy in load_catalogue("scaleway").birth_policies()
    }

    assert counted == {"Administrators": (3, 2, 12), "Editors": (2, 2, 4), "Billing Administrators": (1, 1, 2)}


def test_operations_are_named_after_their_dialect_and_found_by_name(catalogue: Catalogue) -> None:
    for name, operation in catalogue.operations().items():
        assert name.startswith(f"{catalogue.name}/")
        assert find_operation(name) is operation
    assert find_operation("nobody/Nothing") is None


def test_operations_cover_rpcs_whose_permission_they_stand_for(catalogue: Catalogue) -> None:
    for name, rpc, _ in _covers(catalogue):
        operation = catalogue.operations()[name]
        needed = _method(rpc).GetOptions().Extensions[options_pb2.required_permission]
        own = {p.replace(".own_", ".") for p in (operation.primary_permission, *operation.carries)}
        assert needed in own, f"{name} covers {rpc}"


def test_every_write_says_which_fields_it_covers(catalogue: Catalogue) -> None:
    for name, rpc, covered in _covers(catalogue):
        request = _method(rpc).input_type
        has_mask = "update_mask" in request.fields_by_name
        assert has_mask is (covered.update_mask is not None), f"{name} covers {rpc}"
        if covered.update_mask is not None:
            # A request without a resource holds the fields of its mask itself.
            (resource,) = [
                f.message_type for f in request.fields if f.message_type and "id" in f.message_type.fields_by_name
            ] or [request]
            assert all(_has_path(resource, path) for path in covered.update_mask), f"{name} covers {rpc}"


def test_pinned_values_are_of_fields_that_the_contract_pins(catalogue: Catalogue) -> None:
    for name, rpc, covered in _covers(catalogue):
        pinned = set(_method(rpc).GetOptions().Extensions[options_pb2.pinned_fields])
        assert pinned.issuperset(covered.pinned), f"{name} covers {rpc}"


def test_an_operation_covers_no_more_than_it_says() -> None:
    catalogue = load_catalogue("scaleway")
    update = "concord.identity.v1.UserService/UpdateUser"
    create = "concord.identity.v1.UserService/CreateUser"

    assert catalogue.covering(update, ["username"], {}) == ("scaleway/UpdateUserUsername",)
    assert catalogue.covering(update, ["locale", "tags"], {}) == ("scaleway/UpdateUser",)
    assert catalogue.covering(update, ["locale", "username"], {}) == ()
    assert catalogue.covering(update, [], {}) == ()
    assert catalogue.touching(update) == ("scaleway/UpdateUser", "scaleway/UpdateUserUsername")
    assert catalogue.covering(create, [], {"user.kind": "USER_KIND_MEMBER"}) == ("scaleway/CreateUser",)
    assert catalogue.covering(create, [], {"user.kind": "USER_KIND_OWNER"}) == ()
    assert catalogue.covering("concord.identity.v1.UserService/Unknown", [], {}) == ()


def test_what_an_operation_does_not_speak_of_stays_unsaid() -> None:
    covered = Covered()

    assert covered.fits([], {"refuse_if": "", "all": "false", "state": "STATE_UNSPECIFIED"})
    assert not covered.fits([], {"all": "true"})
    assert not covered.fits(["name"], {})


def test_the_order_of_a_pinned_list_means_nothing() -> None:
    catalogue = load_catalogue("scaleway")
    rpc = "concord.groups.v1.MembershipService/SetMembers"

    both = {"replaced_kinds": "PRINCIPAL_KIND_USER,PRINCIPAL_KIND_APPLICATION"}
    devices_too = {"replaced_kinds": "PRINCIPAL_KIND_USER,PRINCIPAL_KIND_APPLICATION,PRINCIPAL_KIND_DEVICE"}

    assert catalogue.covering(rpc, [], both) == ("scaleway/SetGroupMembers",)
    assert catalogue.covering(rpc, [], devices_too) == ()


def test_there_is_a_baseline_for_own_credentials_and_one_for_each_catalogue() -> None:
    assert [policy.id for policy in baselines()] == ["baseline:own", *(f"baseline:{name}" for name in CATALOGUES)]


def test_what_everybody_may_do_reaches_nothing_but_own_credentials() -> None:
    (own, *_) = baselines()

    permissions = [each for statement in own.statements for each in statement.permissions]
    assert permissions
    assert all(each.split(".")[0] == "credentials" and each.split(".")[1].startswith("own_") for each in permissions)
    assert not any(each.split(".")[1] == "own_api_keys" for each in permissions)
