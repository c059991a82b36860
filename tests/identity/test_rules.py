"""What is refused in texts, and what counts as equal."""

import pytest

from concord.identity import rules
from concord.kernel.errors import Invalid

WEIRD = [
    "a/b",
    "a:b",
    "a#b",
    "a@b",
    "a*b",
    "a%b",
    "..",
    " ",
    "trailing ",
    "\u202eevil",
    "שלום עולם",
    "名前",
    "🙂" * 256,
    "' OR 1=1 --",
    "${x}{{x}}",
]


@pytest.mark.parametrize("name", WEIRD)
def test_kb38_names_may_hold_any_delimiter_and_any_script(name: str) -> None:
    assert rules.line(name, "name", required=True) == name


@pytest.mark.parametrize("name", ["a\0b", "\0", "a\nb", "tab\there", "\x7f", "\x85"])
def test_kb38_names_hold_no_control_characters(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.line(name, "user.username")

    assert [(each.field, each.rule) for each in refused.value.violations] == [("user.username", "characters")]


def test_kb09_two_spellings_of_one_text_are_one_and_everything_else_is_two() -> None:
    assert rules.line("e\u0301", "name") == rules.line("\u00e9", "name")
    assert len({rules.line(each, "name") for each in ("Foo", "foo", "foo ", "straße", "strasse", "ﬁ", "fi")}) == 7


def test_lengths_are_counted_in_characters_after_normalising() -> None:
    assert len(rules.line("e\u0301" * 256, "name")) == 256
    for text in ("a" * 257, ""):
        with pytest.raises(Invalid):
            rules.line(text, "name", required=True)


def test_prose_keeps_its_lines_but_no_other_control() -> None:
    assert rules.prose("one\ntwo\t3\r\n", "description") == "one\ntwo\t3\r\n"
    for text in ("\0", "\x1b[31m", "a" * 1001):
        with pytest.raises(Invalid):
            rules.prose(text, "description")


@pytest.mark.parametrize("address", ["a@b", "Ann.O'Hara+x@acme.example", "名@例.jp", '"a@b"@c'])
def test_addresses_that_mail_could_reach_are_taken(address: str) -> None:
    assert rules.address(address, "primary_email") == address


@pytest.mark.parametrize("address", ["a", "@b", "a@", "a b@c", "a@b\n", "a@b\u2028", "a" * 320 + "@b"])
def test_addresses_that_no_mail_could_reach_are_refused(address: str) -> None:
    with pytest.raises(Invalid):
        rules.address(address, "primary_email")


def test_tags_keep_their_order_and_do_not_repeat() -> None:
    assert rules.tags(["b", "a", "B"], "tags") == ("b", "a", "B")
    for tags in (["a", "a"], [""], ["\0"], ["x" * 257], [str(n) for n in range(51)], ["e\u0301", "\u00e9"]):
        with pytest.raises(Invalid):
            rules.tags(tags, "tags")


def test_the_default_language_is_always_among_the_languages() -> None:
    assert rules.languages(["fr", "fr"], "en", "languages") == ("en", "fr")
    assert rules.languages(["fr", "en"], "en", "languages") == ("fr", "en")
    for text in ("", "english language", "e", "x" * 36):
        with pytest.raises(Invalid):
            rules.language(text, "locale")


def test_attributes_are_merged_so_that_nobody_removes_what_it_cannot_see() -> None:
    merged = rules.merged({"one.a": "1", "two.b": "2"}, {"one.a": "", "one.c": "3"}, "attributes")

    assert merged == {"one.c": "3", "two.b": "2"}


@pytest.mark.parametrize(
    "given",
    [
        {"plain": "x"},
        {"A.b": "x"},
        {"a.": "x"},
        {"a.b": "x" * 16_385},
        {"a.b": "\0"},
        {f"a.k{n}": "x" * 16_000 for n in range(5)},
    ],
)
def test_attributes_are_named_and_bounded(given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        rules.merged({}, given, "attributes")


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Acme Inc.", "acmeinc"), ("Élan", "elan"), ("名前", ""), ("a" * 40, "a" * 16), ("A1", "a1")],
)
def test_a_slug_takes_what_it_can_from_a_name(name: str, slug: str) -> None:
    assert rules.slug_from(name) == slug


def test_a_number_behind_a_name_fits_with_it() -> None:
    assert rules.numbered("a" * 16, 12, 16) == "a" * 14 + "12"
    assert rules.numbered("ann@x", 2, 256, "-") == "ann@x-2"
