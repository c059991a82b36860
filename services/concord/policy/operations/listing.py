"""Pages of lists that are not in the database, with the same promises as those that are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from concord.kernel.paging import Page, PageRequest

T = TypeVar("T")


def listed(
    items: Sequence[T],
    page: PageRequest,
    orders: Mapping[str, Callable[[T], Any]],
    identity: Callable[[T], str],
) -> Page[T]:
    """Return one page of the items in the order asked for; the identity breaks ties."""

    def place(item: T) -> tuple[Any, ...]:
        return (*(orders[name](item) for name, _ in page.order), identity(item))

    ordered = sorted(items, key=identity)
    # Sorting is stable, so the last key first gives the order of all of them.
    for name, descends in reversed(page.order):
        ordered.sort(key=orders[name], reverse=descends)
    if page.after is not None:
        ordered = [item for item in ordered if _beyond(place(item), page.after, page.order)]
    rest = ordered[page.skip :]
    shown = rest[: page.size]
    total = len(items) if page.with_total else 0
    if len(rest) <= page.size:
        return Page(shown, total_size=total)
    after = place(shown[-1])
    return Page(shown, page.issue(after), total, after)


def _beyond(place: Sequence[Any], after: Sequence[Any], order: Sequence[tuple[str, bool]]) -> bool:
    descents = (*(descends for _, descends in order), False)
    for mine, theirs, descends in zip(place, after, descents, strict=True):
        if mine != theirs:
            return bool(mine < theirs) if descends else bool(mine > theirs)
    return False
