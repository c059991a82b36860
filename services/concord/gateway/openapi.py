"""Publishes a dialect as OpenAPI 3.1, made from the very routes that serve it and the records that parse and answer."""

import http
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from concord.gateway.route import Dialect, Route

_REF = "#/components/schemas/"
Schema = dict[str, Any]


def document(dialect: Dialect) -> Schema:
    """Return the OpenAPI document of a dialect."""
    components = _components(dialect)
    paths: dict[str, Schema] = {}
    for route in dialect.routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(dialect, route, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": dialect.title, "version": dialect.version, "description": dialect.description},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in dialect.tags],
        "security": [{name: [] for name in dialect.security_schemes}],
        "paths": paths,
        "components": {
            "schemas": {dialect.schema_name(name): schema for name, schema in sorted(components.items())},
            "securitySchemes": dict(dialect.security_schemes),
        },
    }


def _records(dialect: Dialect) -> Iterable[type[msgspec.Struct]]:
    for route in dialect.routes:
        if route.answer is not None:
            yield route.answer
        if route.body is not None:
            yield route.body.shape
    for _, shapes in dialect.refusal_shapes.values():
        yield from shapes


def _components(dialect: Dialect) -> dict[str, Schema]:
    distinct = list(dict.fromkeys(_records(dialect)))
    _, components = msgspec.json.schema_components(distinct, ref_template=_REF + "{name}")
    for schema in components.values():
        schema.pop("title", None)
    for name, schema in components.items():
        _renamed(schema, dialect.schema_name)
        _order(schema)
        if name in dialect.choices:
            schema["oneOf"] = list(_branches(*dialect.choices[name]))
    return components


def _branches(arms: tuple[str, ...], required: bool) -> Iterable[Schema]:
    """Say that members exclude each other: each branch has one of them and null, or nothing, for the rest."""
    for chosen in arms:
        others: Schema = {arm: {"type": "null"} for arm in arms if arm != chosen}
        yield {"required": [chosen], "properties": {chosen: {"not": {"type": "null"}}, **others}}
    if not required:
        yield {"properties": {arm: {"type": "null"} for arm in arms}}


def _order(schema: Schema) -> None:
    if "properties" in schema:
        schema["x-properties-order"] = list(schema["properties"])


def _renamed(node: Any, name_of: Callable[[str], str]) -> None:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REF):
            node["$ref"] = _REF + name_of(reference.removeprefix(_REF))
        for value in node.values():
            _renamed(value, name_of)
    elif isinstance(node, list):
        for value in node:
            _renamed(value, name_of)


def _operation(dialect: Dialect, route: Route, components: dict[str, Schema]) -> Schema:
    operation: Schema = {
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.tag],
        "x-core-permissions": [route.permission, *route.carries],
        "responses": _responses(dialect, route),
    }
    if parameters := [*_path_parameters(route), *_query_parameters(route)]:
        operation["parameters"] = parameters
    if route.body is not None:
        name = route.body.shape.__name__
        _, one_is_needed = dialect.choices.get(name, ((), False))
        operation["requestBody"] = {
            "required": one_is_needed or bool(components[name].get("required")),
            "content": {"application/json": {"schema": {"$ref": _REF + dialect.schema_name(name)}}},
        }
    return operation


def _path_parameters(route: Route) -> Iterable[Schema]:
    for name, text in route.path_shapes.items():
        schema = {"type": "string", **(text.rule.schema if text.rule else {})}
        yield {"name": name, "in": "path", "required": True, "description": text.description, "schema": schema}


def _query_parameters(route: Route) -> Iterable[Schema]:
    if route.query is None:
        return
    schema = msgspec.json.schema(route.query.shape)
    record = schema["$defs"][route.query.shape.__name__]
    required = set(record.get("required", ()))
    for name, member in record["properties"].items():
        flat = _without_null(member)
        if flat.get("default", 0) is None:
            del flat["default"]
        if flat.get("default") == []:
            del flat["default"]
        parameter: Schema = {"name": name, "in": "query", "required": name in required, "schema": flat}
        if (description := flat.pop("description", None)) is not None:
            parameter["description"] = description
        yield parameter


def _without_null(schema: Schema) -> Schema:
    """An absent parameter is absent: null cannot be written in a query."""
    branches = schema.get("anyOf")
    if branches is None:
        return dict(schema)
    rest = [branch for branch in branches if branch.get("type") != "null"]
    outer = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**rest[0], **outer} if len(rest) == 1 else {**outer, "anyOf": rest}


def _responses(dialect: Dialect, route: Route) -> Schema:
    responses: Schema = {}
    success: Schema = {"description": http.HTTPStatus(route.status).phrase}
    if route.answer is not None:
        reference = {"$ref": _REF + dialect.schema_name(route.answer.__name__)}
        success["content"] = {"application/json": {"schema": reference}}
    responses[str(route.status)] = success
    for status in route.refusals:
        description, shapes = dialect.refusal_shapes[status]
        references = [{"$ref": _REF + dialect.schema_name(shape.__name__)} for shape in shapes]
        schema = references[0] if len(references) == 1 else {"oneOf": references}
        responses[str(status)] = {"description": description, "content": {"application/json": {"schema": schema}}}
    return responses
