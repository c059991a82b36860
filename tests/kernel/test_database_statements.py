"""Statements run on the driver give what Core gives, first time and every time after."""

import pytest
from sqlalchemy import Boolean, Column, Integer, MetaData, Table, bindparam, delete, func, insert, select, update

from concord.kernel.database import Connection
from concord.kernel.database.columns import Bytes, Id, Instant, Json, Text
from concord.kernel.database.contract import UniqueViolation, WrongCount
from concord.kernel.database.upserts import upserts
from databases import OpenDatabase
from fakes import START

METADATA = MetaData()
THING = Table(
    "thing",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("count", Integer),
    Column("on", Boolean),
    Column("time", Instant),
    Column("extra", Json),
    Column("body", Bytes),
)
ADD = insert(THING)
ONE = select(THING).where(THING.c.id == bindparam("of"))
AMONG = select(THING.c.id).where(THING.c.id.in_(bindparam("ids", expanding=True))).order_by(THING.c.id)
NAMED = select(THING.c.id).where(THING.c.name == "n", THING.c.time <= bindparam("at", type_=THING.c.time.type))
RENAME = update(THING).where(THING.c.id == bindparam("of")).values(name=bindparam("to")).returning(THING.c.name)
DROP = delete(THING).where(THING.c.id == bindparam("of"))
COUNT = select(func.count()).select_from(THING)
PUT = upserts(THING, unless=THING.c.name == "final")
COUNTED = upserts(THING, unless=THING.c.name == "final", counted="count")
TIMES = 4


def row(id: str, name: str = "n"):
    return {"id": id, "name": name, "count": 3, "on": True, "time": START, "extra": {"b": [1]}, "body": b"\x00\xff"}


async def test_a_row_reads_the_same_however_often_it_is_read(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def body(connection: Connection):
        for at in range(TIMES):
            connection.execute(ADD, row(str(at)))
        return [connection.execute(ONE, {"of": str(at)}).one() for at in range(TIMES)]

    rows = (await database.write("o", body)).value

    assert rows == [(str(at), "n", 3, True, START, {"b": [1]}, b"\x00\xff") for at in range(TIMES)]
    assert [(each.id, each.on, each.time, each.extra) for each in rows] == [
        (str(at), True, START, {"b": [1]}) for at in range(TIMES)
    ]


async def test_lists_of_every_length_find_what_they_name(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def body(connection: Connection):
        connection.execute(ADD, [row(str(at)) for at in range(TIMES)])
        return [connection.execute(AMONG, {"ids": [str(at) for at in range(n)]}).scalars() for n in (2, 0, 1, 3, 0, 2)]

    assert (await database.write("o", body)).value == [["0", "1"], [], ["0"], ["0", "1", "2"], [], ["0", "1"]]


async def test_a_narrowed_copy_of_a_statement_is_a_statement_of_its_own(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def body(connection: Connection):
        connection.execute(ADD, [row("a"), row("b")])
        for _ in range(TIMES):
            assert len(connection.execute(NAMED, {"at": START}).all()) == 2
        narrow = NAMED.where(THING.c.id == "b")
        return [connection.execute(narrow, {"at": START}).scalars() for _ in range(TIMES)]

    assert (await database.write("o", body)).value == [["b"]] * TIMES


async def test_columns_left_out_stay_as_they_are(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def body(connection: Connection):
        for at in range(TIMES):
            connection.execute(ADD, row(str(at)))
            connection.execute(ADD, {"id": f"short {at}", "name": "s"})
        return [connection.execute(ONE, {"of": f"short {at}"}).one() for at in range(TIMES)]

    found = (await database.write("o", body)).value
    assert found == [(f"short {at}", "s", None, None, None, None, None) for at in range(TIMES)]


async def test_changes_tell_how_many_rows_they_touched(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def body(connection: Connection):
        connection.execute(ADD, row("a"))
        renamed = [connection.execute(RENAME, {"of": "a", "to": str(at)}).scalar_one() for at in range(TIMES)]
        nobody = [connection.execute(RENAME, {"of": "b", "to": "x"}).first() for _ in range(TIMES)]
        dropped = [connection.execute(DROP, {"of": "a"}).rowcount for _ in range(TIMES)]
        return renamed, nobody, dropped

    renamed, nobody, dropped = (await database.write("o", body)).value
    assert renamed == ["0", "1", "2", "3"]
    assert nobody == [None] * TIMES
    assert dropped == [1, 0, 0, 0]


async def test_upserts_add_replace_and_leave_alone(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def body(connection: Connection):
        names = []
        for name in ("one", "two", "final", "three", "four"):
            connection.execute(PUT[connection.dialect], row("a", name))
            names.append(connection.execute(ONE, {"of": "a"}).one().name)
        return names, connection.execute(COUNT).scalar_one()

    names, count = (await database.write("o", body)).value
    assert names == ["one", "two", "final", "final", "final"]
    assert count == 1


async def test_a_counted_upsert_counts_what_changes_and_nothing_else(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def body(connection: Connection):
        counts = []
        for name in ("one", "one", "two", "two", "final", "three"):
            connection.execute(COUNTED[connection.dialect], row("a", name))
            counts.append(connection.execute(ONE, {"of": "a"}).one()[2])
        return counts

    # The first is stored as it is given; `final` stays, whatever comes.
    assert (await database.write("o", body)).value == [3, 3, 4, 4, 5, 5]


async def test_what_is_left_for_later_is_there_for_the_next_statement_and_at_the_end(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def body(connection: Connection):
        for name in ("a", "b"):
            connection.execute_later(ADD, row(name))
        connection.execute_later(PUT[connection.dialect], row("a", "final"))
        connection.execute_later(PUT[connection.dialect], row("a", "lost"))
        seen = connection.execute(ONE, {"of": "a"}).one().name, connection.execute(COUNT).scalar_one()
        connection.execute_later(ADD, row("c"))
        return seen

    assert (await database.write("o", body)).value == ("final", 2)
    assert await database.read(lambda connection: connection.execute(COUNT).scalar_one()) == 3


async def test_what_fails_later_fails_its_unit_alone(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", lambda connection: connection.execute_later(ADD, row("a")))

    def body(connection: Connection):
        connection.execute_later(ADD, row("b"))
        connection.execute_later(ADD, row("a"))

    with pytest.raises(UniqueViolation):
        await database.write("o", body)

    assert await database.read(lambda connection: connection.execute(COUNT).scalar_one()) == 1


async def test_a_value_left_out_is_an_error_every_time(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    for _ in range(TIMES):
        with pytest.raises(Exception, match="'of'"):
            await database.read(lambda connection: connection.execute(ONE, {}).all())


async def test_one_row_means_one_row(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", lambda connection: connection.execute(ADD, [row("a"), row("b")]) and None)

    for _ in range(TIMES):
        with pytest.raises(WrongCount):
            await database.read(lambda connection: connection.execute(NAMED, {"at": START}).one_or_none())
        with pytest.raises(WrongCount):
            await database.read(lambda connection: connection.execute(ONE, {"of": "c"}).one())
