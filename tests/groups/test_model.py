"""What a writer may say of a group."""

from typing import Any

import pytest

from concord.groups.model import GroupDraft, GroupPatch, LocalizedText, check_draft, check_patch
from concord.kernel import ids
from concord.kernel.errors import Invalid

GOOD = GroupDraft(
    handle="h" * 256,
    name=LocalizedText("n" * 256, {"de-CH": "x"}),
    description=LocalizedText("d" * 4096),
    tags=tuple(str(each) for each in range(50)),
    exclusion_key="k" * 256,
    attributes={"a.b": "v" * 16_000},
)


def test_the_largest_allowed_draft_passes() -> None:
    check_draft(GOOD)
    check_draft(GroupDraft())


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"handle": "h" * 257}, "group.handle"),
        ({"handle": ids.new(str).upper()}, "group.handle"),
        ({"name": LocalizedText("n" * 257)}, "group.name.text"),
        ({"name": LocalizedText("a\x00b")}, "group.name.text"),
        ({"name": LocalizedText("a", {"": "b"})}, "group.name.translations"),
        ({"description": LocalizedText("d" * 4097)}, "group.description.text"),
        ({"tags": ("a", "a")}, "group.tags"),
        ({"tags": ("",)}, "group.tags[0]"),
        ({"tags": ("t" * 129,)}, "group.tags[0]"),
        ({"tags": tuple(map(str, range(51)))}, "group.tags"),
        ({"exclusion_key": "k" * 257}, "group.exclusion_key"),
        ({"template_ids": ("no id",)}, "group.template_ids[0]"),
        ({"division_ids": ("no id",)}, "group.division_ids[0]"),
        ({"attributes": {"nodot": "x"}}, "group.attributes"),
        ({"attributes": {"a.b": "x" * (16 * 1024)}}, "group.attributes"),
        ({"attributes": {f"a.{index}": "x" * 15_000 for index in range(5)}}, "group.attributes"),
    ],
)
def test_what_is_too_much_or_misshapen_is_named(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(Invalid) as of_draft:
        check_draft(GroupDraft(**fields))
    assert where in {each.field for each in of_draft.value.violations}

    if "handle" not in fields:
        with pytest.raises(Invalid) as of_patch:
            check_patch(GroupPatch(fields))
        assert where in {each.field for each in of_patch.value.violations}


def test_everything_wrong_is_reported_together() -> None:
    with pytest.raises(Invalid) as refusal:
        check_draft(GroupDraft(handle="h" * 257, tags=("", "a" * 129)))

    assert [each.field for each in refusal.value.violations] == ["group.handle", "group.tags[0]", "group.tags[1]"]


def test_a_name_is_not_taken_away() -> None:
    for patch in (GroupPatch({"name": LocalizedText("")}), GroupPatch(parts={("name", "text"): ""})):
        with pytest.raises(Invalid):
            check_patch(patch)
    check_patch(GroupPatch(parts={("name", "translations"): {}}))
