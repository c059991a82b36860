"""The permissions that are known by name, and what stands for those that are not."""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from concord.common.v1 import options_pb2
from concord.kernel.rpc.options import Access, read_rules
from concord.policy.authorize import class_permission
from concord.policy.catalogues.loader import CATALOGUES, load_catalogue
from concord.policy.engine import Program
from concord.policy.engine.match import EVERYTHING

SERVICES: Final = ("identity", "credentials", "groups", "policy", "audit")
_STAR: Final = "*"
_PARTS: Final = 3


@lru_cache(maxsize=1)
def own_permissions() -> frozenset[str]:
    """Return the permissions that the rpcs of this suite need, in every class of target that they tell apart."""
    found: set[str] = set()
    for service in SERVICES:
        package = importlib.import_module(f"concord.{service}.v1")
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.endswith("_service_pb2"):
                descriptor: Any = importlib.import_module(f"{package.__name__}.{module.name}").DESCRIPTOR
                found.update(_permissions_of(descriptor))
    return frozenset(found)


def _permissions_of(file: Any) -> Iterable[str]:
    for service in file.services_by_name.values():
        for method in service.methods:
            if not method.GetOptions().HasExtension(options_pb2.required_permission):
                continue
            rules = read_rules(method)
            if rules.access is Access.PERMISSION:
                yield rules.permission
                yield from (class_permission(rules.permission, each) for each in rules.classes)


@lru_cache(maxsize=1)
def supplied_permissions() -> frozenset[str]:
    """Return the permissions that supplied roles name."""
    return frozenset(
        permission
        for name in CATALOGUES
        for role in load_catalogue(name).roles()
        for permission in role.permissions
        if not is_pattern(permission)
    )


def named_in(program: Program) -> tuple[frozenset[str], frozenset[str]]:
    """Return the permissions that a program's statements name, and their patterns; the one for everything is `*`."""
    named: set[str] = set()
    patterns: set[str] = set()
    for compiled in program.statements:
        for permission in compiled.statement.permissions:
            if is_pattern(permission):
                patterns.add(_STAR if permission == EVERYTHING else permission)
            else:
                named.add(permission)
    return frozenset(named), frozenset(patterns)


def is_pattern(permission: str) -> bool:
    """Tell whether a permission stands for more than one."""
    return _STAR in permission.split(".")


def example_of(pattern: str, known: Iterable[str]) -> str:
    """Return a permission that a pattern covers and nothing else names: its stars filled with a word of nobody's."""
    word = "anything"
    taken = {part for permission in known for part in permission.split(".")}
    while word in taken:
        word += "x"
    return ".".join(word if part == _STAR else part for part in pattern.split("."))


def resource_type_of(permission: str) -> str:
    """Return the type of thing that a permission is about, `service.resource`; empty for what has no three parts."""
    parts = permission.split(".")
    return ".".join(parts[:2]) if len(parts) == _PARTS else ""
