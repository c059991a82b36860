"""What the catalogues tell the policy languages: the names and paths of vendors, which no language spells out itself.

A catalogue's folder may have a `language.json`. Its members are the languages that the vendor's dialect is written
in, each with what that language has to know of the dialect. Languages may share a dialect and dialects a language: a
document does not say through which of them it came, so it speaks of all dialects of its language.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec

FILE = "language.json"

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=128)]
Path = Annotated[str, msgspec.Meta(pattern=r"^(/[A-Za-z0-9_.{}-]+)+$", max_length=128)]
# Paths that callers' paths are compared with after these were made lower case.
PrefixPath = Annotated[str, msgspec.Meta(pattern=r"^/[a-z0-9]+$")]
PlacePath = Annotated[str, msgspec.Meta(pattern=r"^/[a-z0-9]+/[a-z0-9]+$")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Suffix = Annotated[str, msgspec.Meta(pattern=r"^_[a-z_]+$")]


class _Read(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something read from a catalogue; what is misspelt there is refused."""


class DialectData(_Read, frozen=True, kw_only=True):
    """What one language has to know of one dialect, which has the name of the catalogue's folder."""

    language: ClassVar[str]
    dialect: Name

    @property
    def operation_prefix(self) -> str:
        """What stands before the names of this dialect's operations."""
        return f"{self.dialect}/"


class CallDialect(DialectData, frozen=True, kw_only=True):
    """A dialect whose calls `call_statements` names: they are called there as its operations are."""

    language = "call_statements"


class TrustDialect(DialectData, frozen=True, kw_only=True):
    """Whom `call_trust` can name in a dialect."""

    language = "call_trust"
    principals: Name
    """The member of a statement's principal that lists resource names."""
    services: tuple[Name, ...]
    """The vendor's services that may be trusted."""
    name_pattern: Text
    """How a resource name is written: `number` and `organization` (the number as written), `kind` and `own`."""
    name_example: Text
    user_kind: Name
    owner_kind: Name
    """The kind under which an organization's owner is named, by the organization itself."""
    kinds: Text
    """In words, what a name may be of."""

    def __post_init__(self) -> None:
        """Refuse a pattern that cannot be read, leaves something out, or is not what the example shows."""
        pattern = self.compiled_pattern()
        if self.principals == "service":
            raise ValueError("`principals` must leave `service` to services")
        if not {"organization", "number", "kind", "own"} <= pattern.groupindex.keys():
            raise ValueError("`name_pattern` needs the groups `organization`, `number`, `kind` and `own`")
        if pattern.fullmatch(self.name_example) is None:
            raise ValueError("`name_example` does not fit `name_pattern`")

    def compiled_pattern(self) -> re.Pattern[str]:
        """Return the pattern of names, to be matched in full."""
        try:
            return re.compile(self.name_pattern)
        except re.error as error:
            raise ValueError(f"`name_pattern` cannot be read: {error}") from error


class RowOperation(_Read, frozen=True, kw_only=True):
    """By which verb and path an operation is called; placeholders are values that nobody knows yet."""

    verb: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: Path


class RowDialect(DialectData, frozen=True, kw_only=True):
    """Where the calls lie that the rows of `endpoint_rows` are about."""

    language = "endpoint_rows"
    version: Path
    """What may stand before every base path and means nothing."""
    base_path: Path
    """Where this dialect's own operations lie."""
    interfaces: tuple[Path, ...]
    """The base paths of all the vendor's interfaces; a called path is parted behind the longest that fits."""
    operations: Mapping[Name, RowOperation]

    def __post_init__(self) -> None:
        """Freeze the table; refuse a base path that would never be found."""
        if self.base_path not in self.interfaces:
            raise ValueError("`base_path` must be one of `interfaces`")
        _freeze(self, "operations")


class Narrowing(StrEnum):
    """How much of the things of its kind a scope is about."""

    NONE = "none"
    OWN_DIVISIONS = "own_divisions"
    """Things that share a division, a company or a seller, with the subject."""
    CUSTOMERS = "customers"
    """Groups of customers."""


class ScopeRow(_Read, frozen=True, kw_only=True):
    """What a scope of the dialect's own resources lets one do there."""

    operations: tuple[Name, ...]
    """What the scope is enough for; what is carried out as two of them needs the scopes of both."""
    narrowing: Narrowing | None = None
    """How it narrows them; not said, its suffix tells."""


class ScopeDialect(DialectData, frozen=True, kw_only=True):
    """What the scopes of `resource_roles` stand for in a dialect."""

    language = "resource_roles"
    own_suffixes: tuple[Suffix, ...]
    """The ends of verbs that narrow them to the subject's own divisions."""
    scopes: Mapping[Name, ScopeRow]

    def __post_init__(self) -> None:
        """Freeze the table."""
        _freeze(self, "scopes")


class PathDialect(DialectData, frozen=True, kw_only=True):
    """Which paths of `endpoint_scopes` belong to a project or a group, whose id is the segment behind them."""

    language = "endpoint_scopes"
    prefix: PrefixPath
    """The interface keeps everything under it; callers may leave it out."""
    projects: tuple[PlacePath, ...]
    groups: tuple[PlacePath, ...]


_FORMS: Mapping[str, type[DialectData]] = {
    form.language: form for form in (CallDialect, TrustDialect, RowDialect, ScopeDialect, PathDialect)
}
_Form = TypeVar("_Form", bound=DialectData)


def dialects_of(form: type[_Form]) -> tuple[_Form, ...]:
    """Return all dialects of the form's language, by name; LookupError if no catalogue knows the language."""
    dialects = supplied().get(form.language, ())
    if not dialects:
        raise LookupError(f"no catalogue has a dialect of `{form.language}`")
    return dialects  # type: ignore[return-value]  # `_FORMS` has one form for each language


@lru_cache(maxsize=1)
def supplied() -> Mapping[str, tuple[DialectData, ...]]:
    """Return the dialects that the package brings, by language; read once."""
    return read_dialects(files("concord.policy.catalogues"))


def read_dialects(folder: Traversable) -> Mapping[str, tuple[DialectData, ...]]:
    """Return the dialects of a folder of catalogues, by language; ValueError names the file and the place in it."""
    found: dict[str, list[DialectData]] = {}
    for catalogue in sorted(folder.iterdir(), key=lambda each: each.name):
        file = catalogue.joinpath(FILE)
        if file.is_file():
            for language, told in _read(catalogue.name, file).items():
                found.setdefault(language, []).append(told)
    return MappingProxyType({language: tuple(dialects) for language, dialects in found.items()})


def _read(dialect: str, file: Traversable) -> dict[str, DialectData]:
    try:
        content = msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, Any]])
        return {language: _converted(dialect, language, told) for language, told in content.items()}
    except (msgspec.MsgspecError, ValueError) as error:
        raise ValueError(f"{dialect}/{FILE}: {error}") from error


def _converted(dialect: str, language: str, told: Mapping[str, Any]) -> DialectData:
    form = _FORMS.get(language)
    if form is None:
        raise ValueError(f"`{language}` takes nothing from catalogues")
    try:
        return msgspec.convert({**told, "dialect": dialect}, form)
    except msgspec.ValidationError as error:
        raise ValueError(f"`{language}`: {error}") from error


def _freeze(read: msgspec.Struct, field: str) -> None:
    msgspec.structs.force_setattr(read, field, MappingProxyType(getattr(read, field)))
