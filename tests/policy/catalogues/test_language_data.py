"""What languages know of dialects is data: read once, checked, frozen, and enough for a dialect more."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from concord.kernel.errors import Invalid
from concord.policy.catalogues import language_data
from concord.policy.catalogues.language_data import (
    FILE,
    CallDialect,
    DialectData,
    Narrowing,
    PathDialect,
    RowDialect,
    ScopeDialect,
    TrustDialect,
    dialects_of,
    read_dialects,
    supplied,
)
from concord.policy.catalogues.loader import CATALOGUES, load_catalogue
from concord.policy.engine.match import operation_pattern_fault
from concord.policy.languages import LANGUAGES, Language, get_language
from concord.policy.languages.call_trust import TrustedUser, parse_trust
from concord.policy.languages.endpoint_rows import known_base_paths
from concord.policy.languages.path_classes import PathClass, Place, classify
from concord.policy.languages.scope_operations import meaning_of, plain_verb

FORMS = (CallDialect, TrustDialect, RowDialect, ScopeDialect, PathDialect)
PROJECT = "5a0e2d0c-3a4f-4a63-9d0e-0a1b2c3d4e5f"
TRUST = {
    "principals": "north",
    "services": ["Courier"],
    "name_pattern": "nrn/(?P<organization>N(?P<number>[0-9]+))/(?P<kind>[a-z]+)/(?P<own>.*)",
    "name_example": "nrn/N7/person/ann",
    "user_kind": "person",
    "owner_kind": "company",
    "kinds": "a person, or a company",
}
ROWS = {
    "version": "/v2",
    "base_path": "/people",
    "interfaces": ["/people", "/parcels"],
    "operations": {"showPerson": {"verb": "GET", "path": "/persons/{id}"}},
}
SCOPES = {
    "own_suffixes": ["_mine"],
    "scopes": {
        "iam.group_read": {"operations": ["showGroup"]},
        "desk.ticket_read_mine": {"operations": [], "narrowing": "none"},
    },
}
PATHS = {"prefix": "/north", "projects": ["/works/sites"], "groups": ["/works/crews"]}
NORTH: Mapping[str, Mapping[str, Any]] = {
    "call_statements": {},
    "call_trust": TRUST,
    "endpoint_rows": ROWS,
    "resource_roles": SCOPES,
    "endpoint_scopes": PATHS,
}


def _write(folder: Path, catalogue: str, content: object) -> Path:
    folder.joinpath(catalogue).mkdir()
    folder.joinpath(catalogue, FILE).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.fixture
def with_north(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialect more of every language, of which nothing but its data is known."""
    more = read_dialects(_write(tmp_path, "north", NORTH))
    both = {language: (*dialects, *more[language]) for language, dialects in supplied().items()}
    monkeypatch.setattr(language_data, "supplied", lambda: both)


def _operations(language: Language, document: object) -> list[str]:
    statements = language.parse(json.dumps(document))
    compiled = language.compile("p", statements, lambda name: None)
    return [operation for statement in compiled.statements for operation in statement.operations]


@pytest.mark.parametrize("form", FORMS)
def test_dialects_are_read_once_and_cannot_be_changed(form: type[DialectData]) -> None:
    (dialect,) = dialects_of(form)

    assert dialects_of(form)[0] is dialect
    assert form.language in LANGUAGES or form is TrustDialect
    for name in msgspec.structs.asdict(dialect):
        with pytest.raises(AttributeError):
            setattr(dialect, name, "other")


def test_tables_cannot_be_changed() -> None:
    (rows,), (scopes,) = dialects_of(RowDialect), dialects_of(ScopeDialect)

    for table in (rows.operations, scopes.scopes):
        assert table
        with pytest.raises(TypeError):
            table["more"] = None  # type: ignore[index]


def test_the_operations_of_dialects_are_names_of_operations() -> None:
    (rows,), (scopes,) = dialects_of(RowDialect), dialects_of(ScopeDialect)
    named = [rows.operation_prefix + name for name in rows.operations]
    named += [scopes.operation_prefix + name for row in scopes.scopes.values() for name in row.operations]

    assert [name for name in named if operation_pattern_fault(name)] == []
    assert len({(called.verb, called.path) for called in rows.operations.values()}) == len(rows.operations)


def test_a_language_of_which_no_catalogue_knows_a_dialect_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_data, "supplied", dict)

    with pytest.raises(LookupError, match="call_statements"):
        get_language("call_statements").parse('{"statements": [{"effect": "deny", "api": "*"}]}')


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "Input data was truncated"),
        ({"no_language": {}}, "`no_language` takes nothing"),
        ({"call_statements": {"prefix": "x/"}}, "`call_statements`: .*unknown field `prefix`"),
        ({"call_trust": {**TRUST, "name_pattern": "("}}, "cannot be read"),
        ({"call_trust": {**TRUST, "name_pattern": "(?P<kind>.*)"}}, "needs the groups"),
        ({"call_trust": {**TRUST, "name_example": "ann"}}, "does not fit"),
        ({"call_trust": {**TRUST, "principals": "service"}}, "must leave `service`"),
        ({"endpoint_rows": {**ROWS, "base_path": "/elsewhere"}}, "one of `interfaces`"),
        ({"endpoint_rows": {**ROWS, "version": "v2"}}, r"\$.version"),
        ({"endpoint_rows": {**ROWS, "operations": {"x": {"verb": "GO", "path": "/x"}}}}, r"\$.operations.*verb"),
        ({"resource_roles": {**SCOPES, "own_suffixes": [""]}}, r"\$.own_suffixes"),
        ({"resource_roles": {**SCOPES, "scopes": {"a.b": {"operations": [], "narrowing": "all"}}}}, "narrowing"),
        ({"endpoint_scopes": {**PATHS, "prefix": "/North"}}, r"\$.prefix"),
        ({"endpoint_scopes": {**PATHS, "groups": ["/crews"]}}, r"\$.groups"),
        ({"endpoint_scopes": {"prefix": "/north", "projects": []}}, "missing required field `groups`"),
    ],
)
def test_data_that_is_wrong_is_refused_with_its_file_and_place(tmp_path: Path, content: object, told: str) -> None:
    with pytest.raises(ValueError, match=f"north/{FILE}: .*{told}"):
        read_dialects(_write(tmp_path, "north", content if isinstance(content, str) else {**NORTH, **dict(content)}))  # type: ignore[call-overload]


@pytest.mark.usefixtures("with_north")
def test_calls_are_named_in_every_dialect_of_their_language() -> None:
    language = get_language("call_statements")
    (first, *_) = dialects_of(CallDialect)
    document = {"statements": [{"effect": "deny", "api": ["User:get*"]}]}

    operations = _operations(language, document)

    assert operations == [first.operation_prefix + "User:get*", "north/User:get*"]
    assert language.faults(language.parse(json.dumps(document)), lambda name: None) == []


@pytest.mark.usefixtures("with_north")
def test_a_trusted_principal_is_read_as_its_dialect_writes_it() -> None:
    def trusting(**principal: list[str]) -> str:
        return json.dumps({"statements": [{"effect": "allow", "principal": principal}]})

    (statement,) = parse_trust(trusting(north=["nrn/N7/person/ann", "nrn/N8/company/N8"], service=["Courier"]))

    assert statement.users == (TrustedUser(7, "ann"), TrustedUser(8))
    assert statement.services == ("Courier",)
    for name, told in (("ann", "as `nrn/N7/person/ann`"), ("nrn/N7/company/N8", "must name a person, or a company")):
        with pytest.raises(Invalid) as caught:
            parse_trust(trusting(north=[name]))
        assert caught.value.violations[0].field == "statements[0].principal.north[0]"
        assert told in caught.value.violations[0].description


@pytest.mark.usefixtures("with_north")
def test_a_row_is_about_the_operations_of_every_dialect_whose_paths_it_covers() -> None:
    language = get_language("endpoint_rows")
    row = {"basePath": "/v2/people", "path": "/persons*", "verb": "GET", "ipAddress": "*"}

    operations = _operations(language, {"resources": [row]})

    assert operations == ["north/showPerson"]
    assert {"/people", "/parcels"} < set(known_base_paths())


@pytest.mark.usefixtures("with_north")
def test_a_scope_stands_for_the_operations_of_every_dialect_that_knows_it() -> None:
    operations = meaning_of("iam.group_read").operations

    assert operations[-1] == "north/showGroup"
    assert len(operations) > 1
    assert meaning_of("desk.parcel_read_mine").narrowing is Narrowing.OWN_DIVISIONS
    assert meaning_of("desk.ticket_read_mine").narrowing is Narrowing.NONE
    assert (plain_verb("read_mine"), plain_verb("read_own")) == ("read", "read")


@pytest.mark.usefixtures("with_north")
def test_a_path_leads_into_the_projects_and_groups_of_every_dialect() -> None:
    assert classify(f"/north/works/sites/{PROJECT}/tools") == Place(PathClass.PROJECT, PROJECT)
    assert classify(f"/works/crews/{PROJECT}") == Place(PathClass.GROUP, PROJECT)
    assert classify(f"/works/tools/{PROJECT}") == Place(PathClass.OTHER)
    for dialect in dialects_of(PathDialect):
        assert classify(f"{dialect.prefix}{dialect.projects[0]}/{PROJECT}") == Place(PathClass.PROJECT, PROJECT)


def test_a_folder_that_only_tells_languages_is_no_catalogue() -> None:
    folder = files("concord.policy.catalogues")
    telling = {dialect.dialect for dialects in supplied().values() for dialect in dialects}
    whole = {name for name in telling if folder.joinpath(name, "catalogue.json").is_file()}

    assert [load_catalogue(name).name for name in CATALOGUES] == sorted(CATALOGUES)
    assert telling & set(CATALOGUES) == whole
    for name in telling - whole:
        with pytest.raises(LookupError):
            load_catalogue(name)
