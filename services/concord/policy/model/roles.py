"""Roles and who holds them."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NewType

from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId, PolicyId, RoleId, is_canonical
from concord.policy.model.policies import MAX_DESCRIPTION, MAX_NAME, Policy, attribute_violations
from concord.policy.model.statements import MAX_STATEMENT_ITEMS, Boundary, BoundaryKind, Statement, Subject

GrantId = NewType("GrantId", str)

MAX_LANGUAGES: Final = 64
MAX_CATEGORIES: Final = 50
MAX_INCLUDED: Final = 50
# Levels of roles that include roles, the outermost one counted.
MAX_ROLE_DEPTH: Final = 8
# Roles that one role is made of, itself counted, however they are nested.
MAX_ROLE_PARTS: Final = 256


class RoleKind(StrEnum):
    """How a role gets its permissions."""

    BASIC = "basic"
    NARROWED = "narrowed"
    COMPOSED = "composed"


class RoleRelation(StrEnum):
    """What may stand against a role's deletion."""

    GRANTS = "grants"


@dataclass(frozen=True, slots=True)
class LocalizedText:
    """A text in the organization's default language, with translations."""

    text: str = ""
    translations: Mapping[str, str] = field(default_factory=dict)


NO_TEXT = LocalizedText()


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions. Supplied ones live in a catalogue and are the same for every organization."""

    id: RoleId
    handle: str
    name: LocalizedText
    organization_id: OrganizationId | None = None
    version: int = 1
    create_time: datetime | None = None
    update_time: datetime | None = None
    description: LocalizedText = NO_TEXT
    attributes: Mapping[str, str] = field(default_factory=dict)
    catalogue: str = ""
    kind: RoleKind = RoleKind.BASIC
    language: str = "statements"
    document: str = ""
    statements: tuple[Statement, ...] = ()
    included_role_ids: tuple[RoleId, ...] = ()
    resource_type_id: str = ""
    permissions: tuple[str, ...] = ()
    boundary_kind: BoundaryKind = BoundaryKind.PROJECTS
    categories: tuple[str, ...] = ()

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def managed(self) -> bool:
        """Whether the platform supplied it and keeps it."""
        return bool(self.catalogue)

    def fits(self, boundary: Boundary) -> bool:
        """Tell whether the role may be held within a boundary."""
        if self.boundary_kind is boundary.kind:
            return True
        if self.boundary_kind is BoundaryKind.OWNER_ACCOUNT:
            return False
        if boundary.kind is BoundaryKind.ORGANIZATION:
            return True
        narrow = (BoundaryKind.GROUP_SUBTREE, BoundaryKind.OWN_DIVISIONS)
        return self.boundary_kind is BoundaryKind.PROJECTS and boundary.kind in narrow

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "Role":
        """Return the role with these fields changed; itself when nothing differs."""
        wanted = replace(self, **changes)
        if wanted == self:
            return self
        return replace(wanted, version=self.version + 1, update_time=now)


@dataclass(frozen=True, slots=True)
class Grant:
    """One holder has one role within one boundary."""

    id: GrantId
    organization_id: OrganizationId
    create_time: datetime
    update_time: datetime
    subject: Subject
    role_id: RoleId
    boundary: Boundary
    role_language: str
    role_catalogue: str = ""
    version: int = 1
    catalogue: str = ""
    # Not stored: whether somebody has it through a group.
    inherited: bool = False

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def key(self) -> tuple[Subject, RoleId, str]:
        """What there is one grant for."""
        return self.subject, self.role_id, self.boundary.key


@dataclass(frozen=True, slots=True)
class RoleFilter:
    """Which roles a list shows. None means any."""

    ids: tuple[str, ...] | None = None
    handles: tuple[str, ...] | None = None
    catalogues: tuple[str, ...] | None = None
    kinds: tuple[RoleKind, ...] | None = None
    boundary_kinds: tuple[BoundaryKind, ...] | None = None
    language: str | None = None
    name: str | None = None

    def passes(self, role: Role) -> bool:
        """Tell whether a role is shown."""
        return (
            (self.ids is None or role.id in self.ids)
            and (self.handles is None or role.handle in self.handles)
            and (self.catalogues is None or role.catalogue in self.catalogues)
            and (self.kinds is None or role.kind in self.kinds)
            and (self.boundary_kinds is None or role.boundary_kind in self.boundary_kinds)
            and (self.language is None or role.language == self.language)
            and (self.name is None or self.name.casefold() in role.name.text.casefold())
        )


@dataclass(frozen=True, slots=True)
class GrantFilter:
    """Which grants a list shows. None means any."""

    ids: tuple[str, ...] | None = None
    subjects: tuple[Subject, ...] | None = None
    role_ids: tuple[str, ...] | None = None
    boundary_key: str | None = None
    role_languages: tuple[str, ...] | None = None
    role_catalogues: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SourceStamp:
    """Ids and versions of all that a subject's program is made of. A version says one thing for ever."""

    policies: tuple[tuple[PolicyId, int], ...] = ()
    grants: tuple[tuple[GrantId, int], ...] = ()
    # Roles that people made: those granted, and those that they include.
    roles: tuple[tuple[RoleId, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """All that a subject's program is made of, from one snapshot."""

    policies: tuple[Policy, ...] = ()
    grants: tuple[Grant, ...] = ()
    # Supplied roles are not among them: a catalogue never changes while a process runs.
    roles: Mapping[RoleId, Role] = field(default_factory=dict)


def normal_handle(text: str) -> str:
    """Return the one form in which a handle is stored and compared."""
    return unicodedata.normalize("NFC", text)


def check_role_facts(fields: Mapping[str, Any], *, creating: bool, prefix: str = "role") -> None:
    """Raise Invalid with everything that is wrong with the fields of a role that are written."""
    found = list(_fact_violations(fields, creating, prefix))
    if found:
        raise Invalid(*found)


def _fact_violations(fields: Mapping[str, Any], creating: bool, prefix: str) -> Iterator[Violation]:
    if "handle" in fields:
        yield from _text(f"{prefix}.handle", fields["handle"], MAX_NAME)
        if is_canonical(fields["handle"].lower()):
            yield Violation(f"{prefix}.handle", "must not look like an id", rule="handle")
    if "name" in fields:
        if not creating and not fields["name"].text:
            yield Violation(f"{prefix}.name.text", "must not be empty", rule="required")
        yield from _localized(f"{prefix}.name", fields["name"], MAX_NAME)
    if "description" in fields:
        yield from _localized(f"{prefix}.description", fields["description"], MAX_DESCRIPTION)
    yield from attribute_violations(fields.get("attributes", {}), f"{prefix}.")
    for name, most in (
        ("categories", MAX_CATEGORIES),
        ("included_role_ids", MAX_INCLUDED),
        ("permissions", MAX_STATEMENT_ITEMS),
    ):
        items = fields.get(name, ())
        if len(items) > most:
            yield Violation(f"{prefix}.{name}", f"must be at most {most}", rule="length")
        if len(set(items)) != len(items):
            yield Violation(f"{prefix}.{name}", "must not repeat", rule="unique")
    for position, category in enumerate(fields.get("categories", ())):
        yield from _text(f"{prefix}.categories[{position}]", category, MAX_NAME)


def _text(place: str, text: str, most: int) -> Iterator[Violation]:
    if len(text) > most:
        yield Violation(place, f"must have at most {most} characters", rule="length")
    # PostgreSQL cannot keep it, and two engines must not disagree about what a name is.
    if "\x00" in text:
        yield Violation(place, "must not contain the character U+0000", rule="pattern")


def _localized(place: str, text: LocalizedText, most: int) -> Iterator[Violation]:
    yield from _text(f"{place}.text", text.text, most)
    if len(text.translations) > MAX_LANGUAGES:
        yield Violation(f"{place}.translations", f"must be at most {MAX_LANGUAGES}", rule="length")
    for language, translation in text.translations.items():
        if not language or len(language) > 35 or not language.isascii() or "\x00" in language:
            yield Violation(f"{place}.translations", "keys must be language tags", rule="pattern")
        yield from _text(f"{place}.translations[{language[:35]!a}]", translation, most)
