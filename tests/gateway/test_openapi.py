"""The published document says what the routes do."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import descriptor_pool

from concord.common.v1 import options_pb2
from concord.gateway.app import DIALECTS
from concord.gateway.catalogue import operations
from concord.gateway.openapi import document
from concord.gateway.route import Dialect

DOCUMENTS = {dialect.name: document(dialect) for dialect in DIALECTS}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_leads_somewhere(name: str) -> None:
    schemas = DOCUMENTS[name]["components"]["schemas"]

    assert {reference.removeprefix("#/components/schemas/") for reference in references(DOCUMENTS[name])} <= set(
        schemas
    )


@pytest.mark.parametrize("name", DOCUMENTS)
def test_operation_ids_are_told_once(name: str) -> None:
    ids = [operation["operationId"] for item in DOCUMENTS[name]["paths"].values() for operation in item.values()]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_operation_documents_its_refusals(name: str) -> None:
    for item in DOCUMENTS[name]["paths"].values():
        for operation in item.values():
            assert {"400", "401", "403", "404", "429", "500", "503"} <= set(operation["responses"])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_plain_json(name: str) -> None:
    assert json.loads(json.dumps(DOCUMENTS[name])) == DOCUMENTS[name]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_path_parameter_has_a_shape(dialect: Dialect) -> None:
    for route in dialect.routes:
        placeholders = {part[1:-1] for part in route.path.split("/") if part.startswith("{")}
        assert placeholders == set(route.path_shapes), route.operation


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_operation_stands_for_a_permission_of_its_own_rpcs(dialect: Dialect) -> None:
    pool = descriptor_pool.Default()
    for route in dialect.routes:
        permissions = set()
        for rpc in route.covers:
            service, _, method = rpc.partition("/")
            options = pool.FindServiceByName(service).methods_by_name[method].GetOptions()
            permissions.add(options.Extensions[options_pb2.required_permission])  # type: ignore[index]
        assert "" not in permissions, route.operation
        assert route.permission.replace(".own_", ".") in permissions, route.operation


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_pinned_fields_and_masks_exist_in_the_contract(dialect: Dialect) -> None:
    pool = descriptor_pool.Default()
    for row in operations(dialect)["operations"]:
        for rpc, covers in row["covers"].items():
            service, _, method = rpc.partition("/")
            descriptor = pool.FindServiceByName(service).methods_by_name[method]
            pinned = set(descriptor.GetOptions().Extensions[options_pb2.pinned_fields])  # type: ignore[index]
            assert set(covers.get("pinned", ())) <= pinned, row["name"]
            if "update_mask" in covers:
                assert "update_mask" in descriptor.input_type.fields_by_name, row["name"]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_no_operation_but_deletions_carries_the_right_to_delete(dialect: Dialect) -> None:
    for row in operations(dialect)["operations"]:
        deletes = [permission for permission in row["carries"] if permission.endswith(".delete")]
        assert deletes == [], row["name"]
