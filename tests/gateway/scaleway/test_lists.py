"""Every list of the dialect against a plain reference: each filter and each order, alone and combined; paging."""

import itertools
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.scaleway.lists import PUBLIC_KEY, Choice, Listing, Population, Record, listings
from processes import running, serve_whole

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("scaleway lists")]

LISTS = (
    "applications", "users", "groups", "policies", "api-keys", "ssh-keys", "jwts", "logs", "quota", "permission-sets",
)  # fmt: skip
# Where all combinations are more than these, so many are drawn; each choice alone is asked for always.
COMBINATIONS = 250
SEED = 20261121


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Population]:
    with running(serve_whole, tmp_path_factory.mktemp("lists") / "data") as suite:
        population = Population(suite)
        yield population
        population.close()


def orders(listing: Listing) -> list[tuple[str, bool]]:
    return [(order, down) for order in listing.orders for down in (False, True)]


def questions(listing: Listing) -> list[tuple[tuple[Choice, ...], tuple[str, bool]]]:
    """Return combinations of at most one choice of each filter, with an order."""
    alone = [((choice,), order) for choices in listing.filters for choice in choices for order in orders(listing)]
    picks = itertools.product(*([None, *choices] for choices in listing.filters))
    combined = [
        (tuple(choice for choice in picked if choice is not None), order)
        for picked in picks
        for order in orders(listing)
    ]
    if len(combined) > COMBINATIONS:
        combined = random.Random(SEED).sample(combined, COMBINATIONS)
    return [*alone, *combined]


@pytest.mark.parametrize("name", LISTS)
def test_filters_and_orders_alone_and_combined_list_what_they_should(people: Population, name: str) -> None:
    listing = listings(people)[name]
    everything = people.everything(listing)
    assert len(everything) >= 4
    matched = 0

    for choices, (order, down) in questions(listing):
        asked: dict[str, Any] = {}
        for query, _ in choices:
            asked |= query
        expected = [record for record in everything if all(test(record) for _, test in choices)]
        asked["order_by"] = f"{order}_{'desc' if down else 'asc'}"

        page = people.ask(listing, page_size=100, **asked)

        found = page[listing.member]
        assert page["total_count"] == len(expected), asked
        keys = [listing.orders[order](record) for record in found]
        assert keys == sorted(keys, reverse=down), asked
        if len(expected) <= 100:
            assert sorted(each[listing.name] for each in found) == sorted(each[listing.name] for each in expected), (
                asked
            )
            matched += 0 < len(expected) < len(everything)
    assert matched > 0 or not listing.filters


@pytest.mark.parametrize("name", LISTS)
def test_pages_put_together_are_the_list(people: Population, name: str) -> None:
    listing = listings(people)[name]
    for order, down in orders(listing):
        query = {"order_by": f"{order}_{'desc' if down else 'asc'}"}
        whole = people.ask(listing, page_size=100, **query)
        pages = [people.ask(listing, page=number, page_size=7, **query) for number in range(1, 17)]

        found = [record for page in pages for record in page[listing.member]]

        assert {page["total_count"] for page in pages} == {whole["total_count"]}
        assert found[:100] == whole[listing.member][: len(found)]
        assert len(found) == min(whole["total_count"], 16 * 7)


class Writer(threading.Thread):
    """Makes things of one kind and deletes most of them again, until it is told to stop."""

    def __init__(self, people: Population, kind: str) -> None:
        super().__init__(daemon=True)
        self.people = people
        self.kind = kind
        self.ended = threading.Event()
        self.wrote = 0
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                self.write()
                self.wrote += 1
        except BaseException as error:
            self.failed = error

    def write(self) -> None:
        if self.kind == "jwts":
            self.people.log_in(self.people.users[1]["username"])
            return
        # Whatever is made and deleted is logged.
        kind = "applications" if self.kind == "logs" else self.kind
        made = self.people.make(kind, **self.body(kind))
        self.people.delete(f"{kind}/{made.get('id') or made['access_key']}")

    def body(self, kind: str) -> Record:
        name = f"writer.{self.wrote}"
        people = self.people
        bodies: dict[str, Record] = {
            "applications": {"name": name},
            "users": {"member": {"email": f"{name}@people.example", "username": name}},
            "groups": {"name": name},
            "policies": {"name": name, "no_principal": True},
            "api-keys": {"application_id": people.applications[1]["id"]},
            "ssh-keys": {"name": name, "public_key": PUBLIC_KEY, "project_id": people.organization},
        }
        return bodies[kind]


@pytest.mark.parametrize(
    "kind", ["applications", "users", "groups", "policies", "api-keys", "ssh-keys", "jwts", "logs"]
)
def test_paging_is_stable_while_others_write(people: Population, kind: str) -> None:
    listing = listings(people)[kind]
    before = [
        record[listing.name] for record in people.ask(listing, page_size=100, order_by="created_at_asc")[listing.member]
    ]
    writer = Writer(people, kind)
    writer.start()
    try:
        for _ in range(4):
            found: list[str] = []
            for number in range(1, len(before) // 3 + 2):
                page = people.ask(listing, page=number, page_size=3, order_by="created_at_asc")
                found += [record[listing.name] for record in page[listing.member]]
            assert [each for each in found if each in set(before)] == before
            assert len(set(found)) == len(found)
    finally:
        writer.ended.set()
        writer.join(30)
    assert writer.failed is None
    assert writer.wrote > 0
