"""Every fact of the vendor's description that we serve is in the published document.

`document.json` holds those facts: operations, parameters, fields with type, enum, limits and order.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from concord.gateway.dialects import scaleway
from concord.gateway.openapi import document

FACTS = json.loads((Path(__file__).parent / "document.json").read_text("utf-8"))
OURS = document(scaleway.DIALECT)
PREFIX = "scaleway.iam.v1alpha1."


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference and look through `or null`."""
    while "$ref" in schema or "anyOf" in schema:
        if "$ref" in schema:
            schema = OURS["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        else:
            branches = [branch for branch in schema["anyOf"] if branch.get("type") != "null"]
            schema = {**branches[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
    return schema


def member_facts(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a description says about one value, without notes."""
    schema = resolved(schema)
    facts = {
        key: schema[key] for key in ("type", "enum", "maxLength", "maxItems", "minimum", "maximum") if key in schema
    }
    if "enum" in facts:
        facts["type"] = "string"
        # An enumeration has no order.
        facts["enum"] = sorted(facts["enum"])
    return facts


def operation(name: str) -> dict[str, Any]:
    return next(found for item in OURS["paths"].values() for found in item.values() if found["operationId"] == name)


@pytest.mark.parametrize("name", FACTS["operations"])
def test_an_operation_has_its_place_parameters_and_answer(name: str) -> None:
    facts = FACTS["operations"][name]
    ours = OURS["paths"][facts["path"]][facts["method"]]

    assert ours["operationId"] == name
    assert facts["status"] in ours["responses"]
    published = {p["name"]: p for p in ours.get("parameters", ())}
    for parameter, wanted in facts["parameters"].items():
        schema = published[parameter]["schema"]
        assert wanted["facts"].items() <= member_facts(schema).items(), parameter
        assert schema.get("default") == wanted["default"], parameter
        assert published[parameter]["required"] or not wanted["required"], parameter


@pytest.mark.parametrize("name", FACTS["records"])
def test_a_record_has_its_members_in_order(name: str) -> None:
    ours = OURS["components"]["schemas"][PREFIX + name]

    assert list(ours["properties"]) == FACTS["records"][name]["order"]
    for member, wanted in FACTS["records"][name]["members"].items():
        assert wanted.items() <= member_facts(ours["properties"][member]).items(), member


@pytest.mark.parametrize("name", FACTS["bodies"])
def test_a_body_has_its_members(name: str) -> None:
    reference = operation(name)["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    ours = OURS["components"]["schemas"][reference.rpartition("/")[2]]

    assert list(ours.get("properties", ())) == FACTS["bodies"][name]["order"]
    assert set(FACTS["bodies"][name]["required"]) <= set(ours.get("required", ()))
    for member, wanted in FACTS["bodies"][name]["members"].items():
        assert wanted.items() <= member_facts(ours["properties"][member]).items(), member


def test_every_published_operation_is_in_the_description() -> None:
    published = {found["operationId"] for item in OURS["paths"].values() for found in item.values()}

    assert published == set(FACTS["operations"])
