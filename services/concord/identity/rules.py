"""Rules for what people write: what is refused, what is normalised, what counts as equal."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from concord.kernel.errors import Invalid, Violation

MAX_NAME: Final = 256
MAX_TEXT: Final = 1000
MAX_ADDRESS: Final = 320
MAX_TAGS: Final = 50
MAX_ATTRIBUTE_BYTES: Final = 16 * 1024
MAX_ATTRIBUTES_BYTES: Final = 64 * 1024
MAX_LANGUAGES: Final = 50

_ATTRIBUTE = re.compile(r"[a-z][a-z0-9_-]{0,31}\.[A-Za-z0-9_.-]{1,128}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8})*")
# All of Unicode's category Cc.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SLUG = re.compile(r"[a-z0-9]{3,16}")
_ALIAS = re.compile(r"(?=.*[a-z])[a-z0-9]{2,32}")
_CATALOGUE = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def normal(text: str) -> str:
    """Return the one spelling (NFC) under which a text is stored and looked up."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """Return the form under which two texts that differ in case only are equal."""
    if text.isascii():
        return text.lower()
    return normal(normal(text).casefold())


def _has_control(text: str, but: str = "") -> bool:
    return any(char not in but for char in _CONTROL.findall(text))


def _refuse(field: str, description: str, rule: str) -> Invalid:
    return Invalid(Violation(field, description, rule=rule))


def line(text: str, field: str, *, longest: int = MAX_NAME, required: bool = False) -> str:
    """Return one line of text in NFC; control characters are refused, everything else is the caller's business."""
    kept = normal(text)
    if required and not kept:
        raise _refuse(field, "must not be empty", "required")
    if len(kept) > longest:
        raise _refuse(field, f"must have at most {longest} characters", "length")
    if _has_control(kept):
        raise _refuse(field, "must not hold control characters", "characters")
    return kept


def prose(text: str, field: str, *, longest: int = MAX_TEXT) -> str:
    """Return free text as it came; it may have several lines, but no other control character."""
    if len(text) > longest:
        raise _refuse(field, f"must have at most {longest} characters", "length")
    if _has_control(text, but="\n\r\t"):
        raise _refuse(field, "must not hold control characters", "characters")
    return text


def address(text: str, field: str) -> str:
    """Return a mail address in NFC. Only what no mail system could deliver is refused."""
    kept = line(text, field, longest=MAX_ADDRESS)
    local, at, domain = kept.rpartition("@")
    if not (at and local and domain) or any(char.isspace() for char in kept):
        raise _refuse(field, "must be a mail address", "address")
    return kept


def tags(given: Iterable[str], field: str) -> tuple[str, ...]:
    """Return tags in the order given, in NFC; repeats and empty ones are refused."""
    kept = tuple(line(tag, field, required=True) for tag in given)
    if len(kept) > MAX_TAGS:
        raise _refuse(field, f"must hold at most {MAX_TAGS} tags", "size")
    if len(set(kept)) != len(kept):
        raise _refuse(field, "must not repeat a tag", "unique")
    return kept


def language(text: str, field: str) -> str:
    """Return a language tag; `en`, `en-US` and `en_US` are all good."""
    if len(text) > 35 or _LANGUAGE.fullmatch(text) is None:
        raise _refuse(field, "must be a language tag", "language")
    return text


def languages(given: Iterable[str], default: str, field: str) -> tuple[str, ...]:
    """Return the distinct languages in the order given; the default one is always among them."""
    kept = tuple(dict.fromkeys(language(tag, field) for tag in given))
    if len(kept) > MAX_LANGUAGES:
        raise _refuse(field, f"must hold at most {MAX_LANGUAGES} languages", "size")
    return kept if default in kept else (default, *kept)


def catalogues(given: Sequence[str], field: str) -> tuple[str, ...]:
    """Return the distinct names of catalogues in the order given."""
    for name in given:
        if _CATALOGUE.fullmatch(name) is None:
            raise _refuse(field, "must hold names of catalogues", "pattern")
    return tuple(dict.fromkeys(given))


def merged(old: Mapping[str, str], given: Mapping[str, str], field: str) -> dict[str, str]:
    """Return attributes after a write: given keys replace, an empty value removes, the rest stays.

    A caller sees only the attributes of its own interface, so it must not remove others by leaving them out.
    """
    for key, value in given.items():
        if _ATTRIBUTE.fullmatch(key) is None:
            raise _refuse(field, "must have keys of the form `namespace.key`", "pattern")
        if len(value.encode()) > MAX_ATTRIBUTE_BYTES:
            raise _refuse(field, f"must have values of at most {MAX_ATTRIBUTE_BYTES} bytes", "length")
        if "\0" in value:
            raise _refuse(field, "must not hold NUL", "characters")
    both = {key: value for key, value in {**old, **given}.items() if value}
    if sum(len(key) + len(value.encode()) for key, value in both.items()) > MAX_ATTRIBUTES_BYTES:
        raise _refuse(field, f"must have at most {MAX_ATTRIBUTES_BYTES} bytes together", "length")
    return dict(sorted(both.items()))


def number(given: int, field: str, least: int, most: int) -> int:
    """Return a number as it came, or refuse it."""
    if not least <= given <= most:
        raise _refuse(field, f"must be from {least} to {most}", "range")
    return given


def duration(given: timedelta, field: str, least: timedelta, most: timedelta, *, or_none: bool = False) -> timedelta:
    """Return a duration of whole seconds as it came, or refuse it. Zero is out of range unless it stands for none."""
    if or_none and not given:
        return given
    if not least <= given <= most:
        zero = "0, or " if or_none else ""
        text = f"must be {zero}from {least // timedelta(seconds=1)} to {most // timedelta(seconds=1)} seconds"
        raise _refuse(field, text, "range")
    if given % timedelta(seconds=1):
        raise _refuse(field, "must be whole seconds", "whole")
    return given


def slug(text: str, field: str) -> str:
    """Return an organization's short name as it came, or refuse it."""
    if _SLUG.fullmatch(text) is None:
        raise _refuse(field, "must be 3 to 16 lower case letters and digits", "pattern")
    return text


def alias(text: str, field: str) -> str:
    """Return an organization's second short name as it came, or refuse it."""
    # Digits alone would read as an organization's number.
    if _ALIAS.fullmatch(text) is None:
        raise _refuse(field, "must be 2 to 32 lower case letters and digits, one letter at least", "pattern")
    return text


def slug_from(name: str) -> str:
    """Return what a slug can take from a name; perhaps nothing."""
    plain = unicodedata.normalize("NFKD", name).lower()
    return re.sub(r"[^a-z0-9]", "", plain)[:16]


def numbered(base: str, number: int, longest: int, separator: str = "") -> str:
    """Return the base with a number behind it, cut so that both fit."""
    suffix = f"{separator}{number}"
    return base[: longest - len(suffix)] + suffix
