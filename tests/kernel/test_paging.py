"""Page tokens, orders, and keyset lists on both engines."""

import base64
import string
from dataclasses import replace

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, insert, select

from concord.common.v1.change_feed_service_pb2 import GetHeadRequest
from concord.kernel.database.columns import Id, Instant, Text
from concord.kernel.database.listing import Listing, any_of, fold_case
from concord.kernel.errors import Invalid, Reason
from concord.kernel.paging import PageRequest, PageTokens, parse_order
from databases import OpenDatabase
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START

KEY = bytes(range(32))
ORDERS = ("name", "create_time")


def _list_request():
    file = descriptor_pb2.FileDescriptorProto(name="tests/list.proto", package="tests", syntax="proto3")
    message = file.message_type.add(name="ListThingsRequest")
    text, number, truth = (
        descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
        descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
        descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    )
    fields = {
        "page_size": number,
        "page_token": text,
        "skip": number,
        "order_by": text,
        "with_total_size": truth,
        "name": text,
    }
    for at, (name, kind) in enumerate(fields.items(), start=1):
        message.field.add(name=name, number=at, type=kind, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tests.ListThingsRequest"))


ListRequest = _list_request()


def read(tokens, *, organization_id=ORGANIZATION, orders=ORDERS, **fields):
    return tokens.request(
        ListRequest(**fields), organization_id=organization_id, orders=orders, default_order="create_time"
    )


def issued(tokens=None, after=("a", "id"), **fields):
    return read(tokens or PageTokens(KEY), **fields).issue(after)


def refused(tokens, token, **fields):
    with pytest.raises(Invalid) as caught:
        read(tokens, page_token=token, **fields)
    return caught.value.reason is Reason.INVALID_PAGE_TOKEN


def test_a_token_gives_back_the_sort_values_it_was_made_from():
    tokens = PageTokens(KEY)
    after = (START, "ünï \x00", "id")

    request = read(
        tokens, order_by="create_time desc, name", page_token=issued(after=after, order_by="create_time desc, name")
    )

    assert request.after == after
    assert request.order == (("create_time", True), ("name", False))


def test_a_token_survives_another_page_size_and_skip():
    token = issued(page_size=10, skip=5, with_total_size=True)

    assert read(PageTokens(KEY), page_token=token, page_size=20).after == ("a", "id")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other filter"},
        {"order_by": "name"},
        {"order_by": "create_time desc"},
        {"organization_id": OTHER_ORGANIZATION},
        {"organization_id": None},
    ],
)
def test_a_token_is_good_only_for_the_list_it_was_made_for(change):
    assert refused(PageTokens(KEY), issued(), **change)


def test_a_token_of_one_rpc_is_refused_by_another():
    scope = PageTokens(KEY)._scope(GetHeadRequest(), ORGANIZATION, (("create_time", False),))

    assert refused(PageTokens(KEY), PageTokens(KEY).issue(scope, ("a", "id")))


def test_kb13_every_altered_byte_of_a_page_token_is_refused():
    tokens, token = PageTokens(KEY), issued()

    for at in range(len(token)):
        for letter in set(string.ascii_letters + string.digits + "-_=+/. \n\x00é") - {token[at]}:
            assert refused(tokens, token[:at] + letter + token[at + 1 :]), (at, letter)


def test_kb13_a_shortened_or_lengthened_page_token_is_refused():
    tokens, token = PageTokens(KEY), issued()

    for at in range(1, len(token)):
        assert refused(tokens, token[:at])
        assert refused(tokens, token[at:])
    for more in ("A", "=", "==", "\n", " ", token):
        assert refused(tokens, token + more)


@given(st.text(min_size=1, max_size=300))
def test_kb13_no_text_is_a_page_token(text):
    if text.isprintable():
        assert refused(PageTokens(KEY), text)


@pytest.mark.parametrize("key", [bytes(32), b"\xff" * 32, KEY[::-1], b"secret".ljust(32, b"\0")])
def test_kb14_a_token_signed_with_another_key_is_refused(key):
    assert refused(PageTokens(KEY), issued(PageTokens(key)))


def test_kb14_there_is_no_key_by_default_and_none_that_is_short():
    with pytest.raises(TypeError):
        PageTokens()  # type: ignore[call-arg]
    for key in (b"", b"x" * 31):
        with pytest.raises(ValueError, match="32 bytes"):
            PageTokens(key)


def test_kb14_a_page_token_holds_no_column_name():
    raw = base64.urlsafe_b64decode(issued(order_by="name") + "==")

    assert raw[32:] == b'["a","id"]'


@pytest.mark.parametrize(
    "order_by", ["id", "name;drop", "name desc desc", "name, name", "NAME", ",", "name,", "name sideways"]
)
def test_kb14_an_order_by_what_is_not_offered_is_refused(order_by):
    with pytest.raises(Invalid):
        parse_order(order_by, ORDERS, "create_time")


@pytest.mark.parametrize("fields", [{"page_size": 1001}, {"page_size": -1}, {"skip": -1}, {"skip": 100_001}])
def test_sizes_out_of_range_are_refused(fields):
    with pytest.raises(Invalid):
        read(PageTokens(KEY), **fields)


METADATA = MetaData()
THING = Table(
    "listed",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("organization_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
)
LISTING = Listing(
    select(THING.c.id, THING.c.name),
    identity=THING.c.id,
    orders={
        "name": fold_case(THING.c.name),
        "rank": THING.c.rank,
        "create_time": THING.c.create_time,
    },
    filters={
        "organization_id": THING.c.organization_id == bindparam("organization_id"),
        "ids": any_of(THING.c.id, "ids"),
    },
)
ROWS = [
    {
        "id": f"{at:02}",
        "organization_id": "o" if at % 5 else "p",
        "name": name,
        "rank": at % 3,
        "create_time": START.replace(microsecond=at // 4),
    }
    for at, name in enumerate(["b", "A", "a", "B", "c", "C", "ä", "Ä", "a", "z", "Z", "_", "10", "9"])
]


async def filled(open_one):
    database = await open_one(METADATA)
    await database.write(None, lambda connection: connection.execute(insert(THING), ROWS) and None)
    return database


async def pages(database, request, **filters):
    found = []
    while True:
        page = await database.read(lambda c, r=request: LISTING.page(c, r, filters, lambda row: row.id))
        found.append(page)
        if page.after is None:
            return found
        request = replace(request, after=page.after)


SORTED_BY = {
    "name": lambda row: "".join(letter.lower() if letter.isascii() else letter for letter in row["name"]).encode(),
    "rank": lambda row: row["rank"],
    "create_time": lambda row: row["create_time"],
}


def in_order(order):
    rows = sorted(ROWS, key=lambda row: row["id"])
    for name, descends in reversed(order):
        # Python's reversed sort is stable too: among equals the ids keep ascending.
        rows.sort(key=SORTED_BY[name], reverse=descends)
    return [row["id"] for row in rows]


@pytest.mark.parametrize(
    "order",
    [
        (("name", False),),
        (("name", True),),
        (("rank", True), ("name", False)),
        (("rank", False), ("create_time", True), ("name", True)),
        (("create_time", True),),
    ],
)
async def test_pages_together_are_the_list_in_its_order(database_engines: OpenDatabase, order):
    database = await filled(database_engines)

    for size in (1, 3, 14, 50):
        found = await pages(database, PageRequest(size=size, order=order))

        flat = [each for page in found for each in page.items]
        assert flat == in_order(order)
        assert all(len(page.items) == size for page in found[:-1])


async def test_filters_that_are_none_do_not_apply_and_an_empty_list_of_ids_admits_nothing(
    database_engines: OpenDatabase,
):
    database = await filled(database_engines)
    request = PageRequest(order=(("rank", False),), with_total=True)

    (everything,) = await pages(database, request, organization_id=None, ids=None)
    (one,) = await pages(database, request, organization_id="p", ids=None)
    (chosen,) = await pages(database, request, organization_id="o", ids=["01", "05", "nowhere"])
    (nothing,) = await pages(database, request, organization_id="o", ids=[])

    assert (everything.total_size, len(everything.items)) == (14, 14)
    assert (one.total_size, set(one.items)) == (3, {"00", "05", "10"})
    assert (chosen.total_size, chosen.items) == (1, ["01"])
    assert (nothing.total_size, nothing.items) == (0, [])


async def test_skip_passes_over_rows_and_the_total_counts_them(database_engines: OpenDatabase):
    database = await filled(database_engines)
    request = PageRequest(size=2, skip=3, order=(("name", False),), with_total=True)

    page = await database.read(lambda c: LISTING.page(c, request, {}, lambda row: row.id))

    assert page.items == in_order((("name", False),))[3:5]
    assert page.total_size == 14


async def test_more_ids_than_a_page_can_hold_are_refused(database_engines: OpenDatabase):
    database = await filled(database_engines)

    with pytest.raises(ValueError, match="1000"):
        await database.read(
            lambda c: LISTING.page(c, PageRequest(), {"ids": [str(at) for at in range(1001)]}, lambda row: row.id)
        )


async def test_each_combination_is_compiled_once_and_the_cache_is_bounded(database_engines: OpenDatabase):
    database = await filled(database_engines)
    LISTING._cache.clear()

    for _ in range(5):
        await pages(database, PageRequest(order=(("name", False),)), organization_id="o")

    assert len(LISTING._cache) == 1
