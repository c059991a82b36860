"""The contracts' own rules, read from the compiled descriptors."""

import re
from collections.abc import Iterator

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor

from concord.kernel.errors import Reason
from contracts.descriptors import methods, option, own_files, pool

ALL_METHODS = {method.full_name: method for method in methods()}
VENDORS = re.compile(r"soracom|scaleway|emporix|intdash|\bntt\b|\bsam\b|\bSRN\b", re.IGNORECASE)
PERMISSION = re.compile(r"[a-z]+\.[a-z][a-z_]*\.[a-z][a-z_]*")
READS = ("Get", "List", "Check", "BatchCheck", "StreamCheck", "Explain", "Watch", "Authorize", "Introspect", "Validate")
SECRETS = re.compile(r"(^|_)(secret|password|token)$")


MAILED = {
    "StartLogin",
    "StartPasswordRecovery",
    "CompletePasswordRecovery",
    "StartMfaRecovery",
    "CompleteMfaRecovery",
}


def comments(file: descriptor_pb2.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {tuple(place.path): place.leading_comments.strip() for place in file.source_code_info.location}


def commented_things(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    def in_message(
        message: descriptor_pb2.DescriptorProto, path: tuple[int, ...]
    ) -> Iterator[tuple[str, tuple[int, ...]]]:
        if message.options.map_entry:
            return
        yield message.name, path
        for i, field in enumerate(message.field):
            yield f"{message.name}.{field.name}", (*path, 2, i)
        for i, nested in enumerate(message.nested_type):
            yield from in_message(nested, (*path, 3, i))
        for i, enum in enumerate(message.enum_type):
            yield from in_enum(enum, (*path, 4, i))

    def in_enum(
        enum: descriptor_pb2.EnumDescriptorProto, path: tuple[int, ...]
    ) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield enum.name, path
        for i, value in enumerate(enum.value):
            yield f"{enum.name}.{value.name}", (*path, 2, i)

    for i, message in enumerate(file.message_type):
        yield from in_message(message, (4, i))
    for i, enum in enumerate(file.enum_type):
        yield from in_enum(enum, (5, i))
    for i, service in enumerate(file.service):
        yield service.name, (6, i)
        for j, method in enumerate(service.method):
            yield f"{service.name}.{method.name}", (6, i, 2, j)
    for i, extension in enumerate(file.extension):
        yield extension.name, (7, i)


@pytest.mark.parametrize("file", own_files(), ids=lambda file: file.name)
def test_everything_in_a_contract_is_commented(file: descriptor_pb2.FileDescriptorProto) -> None:
    written = comments(file)

    missing = [name for name, path in commented_things(file) if len(written.get(path, "")) < 4]

    assert missing == []


@pytest.mark.parametrize("file", own_files(), ids=lambda file: file.name)
def test_no_contract_speaks_a_vendors_words(file: descriptor_pb2.FileDescriptorProto) -> None:
    # Catalogue names are data; in comments and names of the contract they have no place.
    names = [name for name, _ in commented_things(file) if VENDORS.search(name)]
    texts = [text for text in comments(file).values() if VENDORS.search(text)]

    assert names == []
    assert texts == []


@pytest.mark.parametrize("method", ALL_METHODS.values(), ids=ALL_METHODS)
def test_every_rpc_says_who_may_call_it(method: MethodDescriptor) -> None:
    permission = str(option(method, "required_permission"))
    access = option(method, "access")

    assert bool(permission) != bool(access)
    assert not permission or PERMISSION.fullmatch(permission)
    assert not permission or permission.split(".")[0] == method.full_name.split(".")[1]


@pytest.mark.parametrize("method", ALL_METHODS.values(), ids=ALL_METHODS)
def test_fields_that_options_name_exist(method: MethodDescriptor) -> None:
    target = option(method, "target")
    paths = [*option(method, "pinned_fields")]  # type: ignore[misc]
    if target.field:  # type: ignore[attr-defined]
        paths.append(target.field)  # type: ignore[attr-defined]

    for path in paths:
        message: Descriptor | None = method.input_type
        for step in path.split("."):
            assert message is not None, path
            assert step in message.fields_by_name, f"{method.full_name}: {path}"
            message = message.fields_by_name[step].message_type


@pytest.mark.parametrize("method", ALL_METHODS.values(), ids=ALL_METHODS)
def test_requests_are_named_after_their_rpc(method: MethodDescriptor) -> None:
    assert method.input_type.name == f"{method.name}Request"


@pytest.mark.parametrize(
    "method",
    [m for m in ALL_METHODS.values() if m.name.startswith("List") and "page_token" in m.input_type.fields_by_name],
    ids=lambda m: m.full_name,
)
def test_lists_page_alike(method: MethodDescriptor) -> None:
    assert {"page_size", "page_token", "skip", "with_total_size"} <= set(method.input_type.fields_by_name)
    assert {"next_page_token", "total_size"} <= set(method.output_type.fields_by_name)


@pytest.mark.parametrize(
    "method",
    [
        m
        for m in ALL_METHODS.values()
        if not m.name.startswith(READS) and not m.full_name.endswith("AuthenticationService.Authenticate")
    ],
    ids=lambda m: m.full_name,
)
def test_every_write_can_be_repeated_and_rehearsed(method: MethodDescriptor) -> None:
    # What is mailed is used once by itself; asking for it again is how it is repeated.
    if method.name.startswith("Check") or method.name in MAILED:
        return
    assert {"request_id", "validate_only"} <= set(method.input_type.fields_by_name)


def test_resources_never_hold_a_secret() -> None:
    resources = ("ApiKey", "Session", "OAuthClient", "ClientSecret", "Password", "User", "Application", "Policy")
    holding = []
    for file in own_files():
        for message in file.message_type:
            if message.name in resources:
                holding += [f"{message.name}.{f.name}" for f in message.field if SECRETS.search(f.name)]

    assert holding == []


def test_enums_begin_unspecified_and_carry_their_name() -> None:
    def enums() -> Iterator[descriptor_pb2.EnumDescriptorProto]:
        for file in own_files():
            yield from file.enum_type
            for message in file.message_type:
                yield from message.enum_type

    for enum in enums():
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper()
        assert enum.value[0].name == f"{prefix}_UNSPECIFIED", enum.name
        assert enum.value[0].number == 0
        assert all(value.name.startswith(prefix + "_") for value in enum.value), enum.name


def test_reasons_in_code_and_in_the_contract_are_the_same() -> None:
    enum = pool().FindEnumTypeByName("concord.common.v1.ErrorReason")
    contract = {value.name.removeprefix("ERROR_REASON_") for value in enum.values if value.number}

    assert contract == {reason.value for reason in Reason}
