"""Policies and limits, and the rules that hold for each alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId, PolicyId
from concord.policy.model.statements import NOBODY, Statement, Subject, SubjectKind

MAX_NAME = 256
MAX_DESCRIPTION = 1000
MAX_TAGS = 50
MAX_TAG = 128
MAX_ATTRIBUTE_BYTES = 16 * 1024
MAX_ATTRIBUTES_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Policy:
    """A named document of statements, attached to at most one subject."""

    id: PolicyId
    organization_id: OrganizationId
    version: int
    create_time: datetime
    update_time: datetime
    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    subject: Subject = NOBODY
    inline: bool = False
    language: str = "statements"
    document: str = ""
    # None where they were not read: lists leave them out unless asked.
    statements: tuple[Statement, ...] | None = ()
    statement_count: int = 0
    boundary_count: int = 0
    role_count: int = 0
    catalogue: str = ""
    editable: bool = True
    deletable: bool = True

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def managed(self) -> bool:
        """Whether the platform supplied it and keeps it."""
        return bool(self.catalogue) and not self.editable

    def saying(self, statements: Iterable[Statement]) -> "Policy":
        """Return the policy with other statements and the counts that follow from them."""
        listed = tuple(statements)
        parts: set[tuple[str, str]] = set()
        for each in listed:
            if each.boundary is not None:
                parts |= each.boundary.parts()
        return replace(
            self,
            statements=listed,
            statement_count=len(listed),
            boundary_count=len(parts),
            role_count=sum(len(each.role_names) for each in listed),
        )


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of one organization. `version` 0 means that nobody set it: the default holds."""

    name: str
    organization_id: OrganizationId
    limit: int
    unlimited: bool = False
    version: int = 0
    create_time: datetime | None = None
    update_time: datetime | None = None
    display_name: str = ""
    unit: str = ""
    description: str = ""

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)


@dataclass(frozen=True, slots=True)
class PolicyFilter:
    """Which policies a list shows. None means any."""

    ids: tuple[str, ...] | None = None
    subjects: tuple[Subject, ...] | None = None
    subject_kinds: tuple[SubjectKind, ...] | None = None
    name: str | None = None
    tag: str | None = None
    editable: bool | None = None
    # Unnamed ones instead of named ones.
    inline: bool = False
    catalogues: tuple[str, ...] | None = None


def check_facts(
    *,
    name: str | None = None,
    description: str | None = None,
    tags: tuple[str, ...] | None = None,
    attributes: Mapping[str, str] | None = None,
    prefix: str = "policy.",
) -> None:
    """Raise Invalid with every length that is wrong. None means not written."""
    found: list[Violation] = []
    if name is not None and not 1 <= len(name) <= MAX_NAME:
        found.append(Violation(f"{prefix}name", f"must have 1 to {MAX_NAME} characters", rule="length"))
    if description is not None and len(description) > MAX_DESCRIPTION:
        told = f"must have at most {MAX_DESCRIPTION} characters"
        found.append(Violation(f"{prefix}description", told, rule="length"))
    found.extend(_tag_violations(tags or (), prefix))
    found.extend(attribute_violations(attributes or {}, prefix))
    if found:
        raise Invalid(*found)


def _tag_violations(tags: tuple[str, ...], prefix: str) -> Iterable[Violation]:
    if len(tags) > MAX_TAGS:
        yield Violation(f"{prefix}tags", f"must be at most {MAX_TAGS}", rule="length")
    for position, tag in enumerate(tags):
        if not 1 <= len(tag) <= MAX_TAG:
            yield Violation(f"{prefix}tags[{position}]", f"must have 1 to {MAX_TAG} characters", rule="length")
    if len(set(tags)) != len(tags):
        yield Violation(f"{prefix}tags", "must not repeat", rule="unique")


def attribute_violations(attributes: Mapping[str, str], prefix: str) -> Iterable[Violation]:
    total = 0
    for key, value in attributes.items():
        size = len(key.encode()) + len(value.encode())
        total += size
        if not key or len(key) > 256 or "." not in key:
            yield Violation(f"{prefix}attributes", "keys are written `namespace.key`", rule="pattern")
        if size > MAX_ATTRIBUTE_BYTES:
            yield Violation(f"{prefix}attributes", f"`{key[:64]}` is larger than 16 KiB", rule="length")
    if total > MAX_ATTRIBUTES_BYTES:
        yield Violation(f"{prefix}attributes", "are larger than 64 KiB together", rule="length")
