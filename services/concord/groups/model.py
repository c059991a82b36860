"""Groups, memberships and what a writer may ask of them. Pure values and rules; no storage, no wire."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NewType

from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import GroupId, OrganizationId, is_canonical
from concord.kernel.principal import PrincipalKind, PrincipalRef

MembershipId = NewType("MembershipId", str)

MAX_DEPTH: Final = 16
MAX_BATCH: Final = 1000
MAX_NAME: Final = 256
MAX_DESCRIPTION: Final = 4096
MAX_TAGS: Final = 50
MAX_TAG: Final = 128
MAX_TEMPLATES: Final = 50
MAX_LANGUAGES: Final = 64
MAX_ATTRIBUTE_BYTES: Final = 16 * 1024
MAX_ATTRIBUTES_BYTES: Final = 64 * 1024


class MemberKind(StrEnum):
    """Who may be a direct member of a group."""

    ANY = "any"
    WORKFORCE = "workforce"
    CUSTOMER = "customer"


class ContainerKind(StrEnum):
    """What principals belong to."""

    GROUP = "group"
    PROJECT = "project"


class UniqueWithin(StrEnum):
    """Where a writer wants a name to be unique."""

    NOWHERE = "nowhere"
    ORGANIZATION = "organization"
    PARENT = "parent"


class GroupRelation(StrEnum):
    """What may stand against a deletion."""

    MEMBERS = "members"
    SUB_GROUPS = "sub_groups"


@dataclass(frozen=True, slots=True)
class LocalizedText:
    """A text in the organization's default language, with translations."""

    text: str = ""
    translations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Container:
    """One group or project."""

    kind: ContainerKind
    id: str


@dataclass(frozen=True, slots=True)
class Principal:
    """What is known here of a principal: that it exists, and whether it is a customer."""

    ref: PrincipalRef
    is_customer: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A set of principals, in a tree."""

    id: GroupId
    organization_id: OrganizationId
    create_time: datetime
    update_time: datetime
    version: int = 1
    catalogue: str = ""
    editable: bool = True
    deletable: bool = True
    handle: str = ""
    name: LocalizedText = LocalizedText()
    description: LocalizedText = LocalizedText()
    tags: tuple[str, ...] = ()
    parent_group_id: GroupId | None = None
    member_kind: MemberKind = MemberKind.ANY
    division_ids: tuple[str, ...] = ()
    exclusion_key: str = ""
    template_ids: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def managed(self) -> bool:
        """Whether the platform supplied it and keeps it."""
        return bool(self.catalogue) and not self.editable

    @property
    def container(self) -> Container:
        """The group as something to belong to."""
        return Container(ContainerKind.GROUP, self.id)

    def admits(self, principal: Principal) -> bool:
        """Tell whether the member kind lets this principal in."""
        if self.member_kind is MemberKind.ANY:
            return True
        return principal.is_customer is (self.member_kind is MemberKind.CUSTOMER)

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "Group":
        """Return the group with these fields changed; itself when nothing differs."""
        wanted = replace(self, **changes)
        if wanted == self:
            return self
        return replace(wanted, version=self.version + 1, update_time=now)


@dataclass(frozen=True, slots=True)
class Membership:
    """One belonging of one principal to one container."""

    id: MembershipId
    organization_id: OrganizationId
    container: Container
    principal: PrincipalRef
    create_time: datetime
    update_time: datetime
    version: int = 1
    is_owner: bool = False
    catalogue: str = ""

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)


@dataclass(frozen=True, slots=True)
class GroupDraft:
    """What a writer says of a new group."""

    handle: str = ""
    name: LocalizedText = LocalizedText()
    description: LocalizedText = LocalizedText()
    tags: tuple[str, ...] = ()
    parent_group_id: GroupId | None = None
    member_kind: MemberKind = MemberKind.ANY
    division_ids: tuple[str, ...] = ()
    exclusion_key: str = ""
    template_ids: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupPatch:
    """What an update changes: whole fields, and parts of localized texts by (field, part)."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[tuple[str, str], Any] = field(default_factory=dict)

    def changes_to(self, group: Group) -> dict[str, Any]:
        """Return the fields that the group would have."""
        changes = dict(self.fields)
        for (name, part), value in self.parts.items():
            text: LocalizedText = changes.get(name, getattr(group, name))
            changes[name] = replace(text, **{part: value})
        return changes


@dataclass(frozen=True, slots=True)
class GroupFilter:
    """Which groups to list; conditions are ANDed, None and empty mean no condition."""

    ids: tuple[str, ...] = ()
    parent_group_id: str = ""
    top_level: bool = False
    text: str = ""
    name: str = ""
    tag: str = ""
    member_kind: MemberKind | None = None
    holds: tuple[PrincipalRef, ...] = ()
    holds_all: bool = False
    catalogues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Which memberships to list; conditions are ANDed, None and empty mean no condition."""

    containers: tuple[Container, ...] = ()
    principals: tuple[PrincipalRef, ...] = ()
    kinds: tuple[PrincipalKind, ...] = ()
    container_kind: ContainerKind | None = None
    is_owner: bool | None = None


def normal_handle(text: str) -> str:
    """Return the one form in which a handle is stored and compared."""
    return unicodedata.normalize("NFC", text)


def check_draft(draft: GroupDraft, at: str = "group") -> None:
    """Raise Invalid with everything that is wrong with a new group."""
    fields = {name: getattr(draft, name) for name in draft.__dataclass_fields__}
    raise_all(_field_violations(fields, at, creating=True))


def check_patch(patch: GroupPatch, at: str = "group") -> None:
    """Raise Invalid with everything that is wrong with a change."""
    fields = dict(patch.fields)
    for (name, part), value in patch.parts.items():
        fields[name] = replace(fields.get(name, LocalizedText("present")), **{part: value})
    raise_all(_field_violations(fields, at, creating=False))


def raise_all(violations: Iterable[Violation]) -> None:
    """Raise Invalid when there are any."""
    if found := list(violations):
        raise Invalid(*found)


def _field_violations(fields: Mapping[str, Any], at: str, *, creating: bool) -> Iterator[Violation]:
    if "handle" in fields:
        yield from _text(f"{at}.handle", fields["handle"], MAX_NAME)
        if is_canonical(fields["handle"].lower()):
            yield Violation(f"{at}.handle", "must not look like an id", rule="handle")
    if "name" in fields:
        if not creating and not fields["name"].text:
            yield Violation(f"{at}.name.text", "must not be empty", rule="required")
        yield from _localized(f"{at}.name", fields["name"], MAX_NAME)
    if "description" in fields:
        yield from _localized(f"{at}.description", fields["description"], MAX_DESCRIPTION)
    yield from _words(f"{at}.tags", fields.get("tags", ()), MAX_TAGS, MAX_TAG)
    yield from _ids(f"{at}.division_ids", fields.get("division_ids", ()), MAX_TAGS)
    yield from _ids(f"{at}.template_ids", fields.get("template_ids", ()), MAX_TEMPLATES)
    yield from _text(f"{at}.exclusion_key", fields.get("exclusion_key", ""), MAX_NAME)
    yield from _attributes(f"{at}.attributes", fields.get("attributes", {}))


def _text(at: str, text: str, limit: int) -> Iterator[Violation]:
    if len(text) > limit:
        yield Violation(at, f"must have at most {limit} characters", rule="max_length")
    # PostgreSQL cannot keep it, and two engines must not disagree about what a name is.
    if "\x00" in text:
        yield Violation(at, "must not contain the character U+0000", rule="pattern")


def _localized(at: str, text: LocalizedText, limit: int) -> Iterator[Violation]:
    yield from _text(f"{at}.text", text.text, limit)
    if len(text.translations) > MAX_LANGUAGES:
        yield Violation(f"{at}.translations", f"must have at most {MAX_LANGUAGES} entries", rule="max_items")
    for language, translation in text.translations.items():
        if not language or len(language) > 35 or not language.isascii():
            yield Violation(f"{at}.translations", "keys must be language tags", rule="pattern")
        yield from _text(f"{at}.translations[{language[:35]!a}]", translation, limit)


def _words(at: str, words: Sequence[str], most: int, limit: int) -> Iterator[Violation]:
    if len(words) > most:
        yield Violation(at, f"must have at most {most} entries", rule="max_items")
    if len(set(words)) != len(words):
        yield Violation(at, "must not repeat an entry", rule="unique")
    for index, word in enumerate(words[: most + 1]):
        if not word:
            yield Violation(f"{at}[{index}]", "must not be empty", rule="min_length")
        yield from _text(f"{at}[{index}]", word, limit)


def _ids(at: str, ids: Sequence[str], most: int) -> Iterator[Violation]:
    yield from _words(at, ids, most, 36)
    for index, text in enumerate(ids[:most]):
        if not is_canonical(text):
            yield Violation(f"{at}[{index}]", "must be a UUID", rule="uuid")


def _attributes(at: str, attributes: Mapping[str, str]) -> Iterator[Violation]:
    total = 0
    for key, value in attributes.items():
        size = len(key.encode()) + len(value.encode())
        total += size
        if "." not in key or len(key) > 128:
            yield Violation(at, "keys must be `namespace.key` of at most 128 characters", rule="pattern")
        if size > MAX_ATTRIBUTE_BYTES:
            yield Violation(at, f"an attribute must have at most {MAX_ATTRIBUTE_BYTES} bytes", rule="max_length")
        yield from _text(at, key + value, MAX_ATTRIBUTE_BYTES)
    if total > MAX_ATTRIBUTES_BYTES:
        yield Violation(at, f"must have at most {MAX_ATTRIBUTES_BYTES} bytes together", rule="max_length")
