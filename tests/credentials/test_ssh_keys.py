"""SSH keys: what is taken for one, its fingerprints, where it lies, what ends it."""

import asyncio
import base64
import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.field_mask_pb2 import FieldMask

from concord.credentials.model.ssh_keys import read_public_key
from concord.credentials.v1 import ssh_key_pb2, ssh_key_service_pb2
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.project_pb2 import Project
from concord.kernel.errors import Invalid, Reason
from concord.kernel.principal import Reach
from concord.policy.v1.quota_pb2 import Quota
from credentials.making import PROJECT, World, fresh_id
from fakes import ORGANIZATION

# A public host key that its owner publishes together with both fingerprints.
KNOWN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


def line(key: Any, comment: str = "") -> str:
    text: str = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f"{text} {comment}".strip()


def packed(*parts: bytes) -> str:
    return base64.b64encode(b"".join(struct.pack(">I", len(each)) + each for each in parts)).decode()


def security_key() -> str:
    kind = "sk-ssh-ed25519@openssh.com"
    raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    return f"{kind} {packed(kind.encode(), raw, b'ssh:')}"


async def create(world: World, public_key: str = "", metadata: Any = None, **fields: Any) -> Any:
    request = {name: fields.pop(name) for name in ("refuse_repeated", "validate_only", "request_id") if name in fields}
    text = public_key or line(ed25519.Ed25519PrivateKey.generate(), "me@host")
    return await world.ssh_keys.CreateSshKey(
        ssh_key_service_pb2.CreateSshKeyRequest(ssh_key=ssh_key_pb2.SshKey(public_key=text, **fields), **request),
        metadata=metadata or world.system,
    )


async def get(world: World, key_id: str) -> Any:
    return await world.ssh_keys.GetSshKey(ssh_key_service_pb2.GetSshKeyRequest(id=key_id), metadata=world.system)


async def listed(world: World, **fields: Any) -> list[str]:
    answer = await world.ssh_keys.ListSshKeys(ssh_key_service_pb2.ListSshKeysRequest(**fields), metadata=world.system)
    return [each.id for each in answer.ssh_keys]


@pytest.mark.parametrize(
    ("text", "algorithm", "bits"),
    [
        (line(rsa.generate_private_key(65537, 2048)), "ssh-rsa", 2048),
        (line(ed25519.Ed25519PrivateKey.generate()), "ssh-ed25519", 256),
        (line(ec.generate_private_key(ec.SECP256R1())), "ecdsa-sha2-nistp256", 256),
        (line(ec.generate_private_key(ec.SECP384R1())), "ecdsa-sha2-nistp384", 384),
        (line(ec.generate_private_key(ec.SECP521R1())), "ecdsa-sha2-nistp521", 521),
        (security_key(), "sk-ssh-ed25519@openssh.com", 256),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_key_of_each_good_kind_is_kept_without_its_comment(
    world: World, text: str, algorithm: str, bits: int
) -> None:
    key = await create(world, f"  {text} ann@laptop 1 \n")

    assert (key.public_key, key.name) == (text, "ann@laptop 1")
    assert (key.algorithm, key.bits) == (algorithm, bits)
    assert key.fingerprint.startswith(f"{bits} MD5:")
    assert key.fingerprint.endswith(f" ({algorithm})")
    assert key.project_id == ORGANIZATION
    assert await get(world, key.id) == key
    assert (await world.events())[-1].type == "ssh_key.created"


def test_fingerprints_are_those_that_the_usual_tools_print() -> None:
    read = read_public_key(f"{KNOWN} git@host")

    assert read.fingerprint_sha256 == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
    assert read.fingerprint == "256 MD5:65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd (ssh-ed25519)"
    assert (read.text, read.comment) == (KNOWN, "git@host")


SMALL = line(rsa.generate_private_key(65537, 1024))
OLD = dsa.generate_private_key(1024)
GOOD = line(ed25519.Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        GOOD.replace("ssh-ed25519", "ssh-rsa"),
        GOOD[:-8],
        GOOD[:30] + "!" + GOOD[31:],
        f"{GOOD}\n{GOOD}",
        f"{GOOD} a\x00b",
        f'command="sh" {GOOD}',
        "ssh-dss AAAAB3NzaC1kc3MAAACBAA==",
        SMALL,
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "ssh-ed25519 " + "A" * 65_000,
        f"ssh-ed25519-cert-v01@openssh.com {GOOD.split()[1]}",
        # A point of the curve that is not written in full.
        f"ecdsa-sha2-nistp256 {packed(b'ecdsa-sha2-nistp256', b'nistp256', bytes([2]) + b'x' * 32)}",
    ],
    ids=lambda text: text[:20].encode("unicode_escape").decode(),
)
async def test_what_is_no_good_key_is_refused_by_name_and_not_repeated(world: World, text: str) -> None:
    error: Any = await world.refusal(create(world, text))

    assert error.reason is Reason.INVALID_FIELDS
    assert [each.field for each in error.violations] == ["ssh_key.public_key"]
    assert len(text) < 12 or text not in str(error)
    assert await listed(world) == []


async def test_a_comment_that_becomes_a_name_holds_nothing_that_moves_a_cursor(world: World) -> None:
    key = await create(world, f"{GOOD} me\x1b[2J@\x07host\x9b")

    assert key.name == "me[2J@host"


def test_a_key_that_is_cut_anywhere_is_refused() -> None:
    for at in range(len(GOOD)):
        with pytest.raises(Invalid):
            read_public_key(GOOD[:at])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "n" * 1001}, "ssh_key.name"),
        ({"name": "a\x00"}, "ssh_key.name"),
        ({"project_id": "x"}, "ssh_key.project_id"),
        ({"attributes": {"bad": "v"}}, "ssh_key.attributes"),
    ],
)
async def test_other_bad_fields_are_named(world: World, fields: Any, field: str) -> None:
    error: Any = await world.refusal(create(world, **fields))

    assert [each.field for each in error.violations] == [field]


async def test_a_key_may_stand_twice_in_a_project_unless_the_caller_refuses_that(world: World) -> None:
    await world.hear("project.created", PROJECT, Project(id=PROJECT))
    first = await create(world, GOOD, name="one")

    second = await create(world, GOOD, name="two")
    refused = await world.refusal(create(world, f"{GOOD} other", refuse_repeated=True))
    elsewhere = await create(world, GOOD, project_id=PROJECT, refuse_repeated=True)

    assert first.fingerprint == second.fingerprint == elsewhere.fingerprint
    assert refused.reason is Reason.RESOURCE_ALREADY_EXISTS


async def test_of_fifty_that_add_one_key_and_refuse_repeats_one_wins(world: World) -> None:
    answers = await asyncio.gather(
        *(create(world, GOOD, refuse_repeated=True) for _ in range(50)), return_exceptions=True
    )

    assert sum(not isinstance(each, BaseException) for each in answers) == 1


async def test_fifty_parallel_creations_at_the_limit_make_exactly_what_there_is_room_for(world: World) -> None:
    await world.hear("quota.set", fresh_id(), Quota(name="ssh_keys", limit=7), source="policy")

    answers = await asyncio.gather(*(create(world, GOOD) for _ in range(50)), return_exceptions=True)

    assert sum(not isinstance(each, BaseException) for each in answers) == 7
    assert (await world.refusal(create(world))).reason is Reason.QUOTA_EXCEEDED


async def test_name_and_disabled_change_and_nothing_else(world: World) -> None:
    key = await create(world, name="one")

    async def update(path: str, **fields: Any) -> Any:
        return await world.ssh_keys.UpdateSshKey(
            ssh_key_service_pb2.UpdateSshKeyRequest(
                ssh_key=ssh_key_pb2.SshKey(id=key.id, **fields), update_mask=FieldMask(paths=path.split(","))
            ),
            metadata=world.system,
        )

    changed = await update("name,disabled", name="two", disabled=True)
    refusals: list[Any] = [
        await world.refusal(update("public_key", public_key=GOOD)),
        await world.refusal(update("project_id", project_id=PROJECT)),
        await world.refusal(update("fingerprint")),
        await world.refusal(update("name", name="three", etag="1")),
    ]

    assert (changed.name, changed.disabled, changed.version) == ("two", True, 2)
    assert [each.reason for each in refusals] == [Reason.INVALID_FIELDS] * 3 + [Reason.ETAG_MISMATCH]
    assert await get(world, key.id) == changed


async def test_lists_find_keys_by_project_name_and_state(world: World) -> None:
    await world.hear("project.created", PROJECT, Project(id=PROJECT))
    one = await create(world, name="Laptop")
    two = await create(world, name="robot", project_id=PROJECT, disabled=True)

    assert await listed(world) == [one.id, two.id]
    assert await listed(world, text="lap") == [one.id]
    assert await listed(world, project_ids=[PROJECT]) == [two.id]
    assert await listed(world, disabled=False) == [one.id]
    assert await listed(world, order_by="name desc") == [two.id, one.id]
    assert await listed(world, ids=[two.id], text="lap") == []


async def test_a_right_in_one_project_reaches_its_keys_only(world: World) -> None:
    await world.hear("project.created", PROJECT, Project(id=PROJECT))
    outside, inside = await create(world), await create(world, project_id=PROJECT)
    caller = await world.create_key()
    metadata = (("authorization", f"Bearer {caller.secret}"),)
    world.decisions.reach = Reach(everything=False, project_ids=frozenset({PROJECT}))

    seen = await world.ssh_keys.ListSshKeys(ssh_key_service_pb2.ListSshKeysRequest(), metadata=metadata)
    refusals = [
        await world.refusal(call(request, metadata=metadata))
        for call, request in (
            (world.ssh_keys.GetSshKey, ssh_key_service_pb2.GetSshKeyRequest(id=outside.id)),
            (world.ssh_keys.DeleteSshKey, ssh_key_service_pb2.DeleteSshKeyRequest(id=outside.id)),
            (
                world.ssh_keys.CreateSshKey,
                ssh_key_service_pb2.CreateSshKeyRequest(ssh_key=ssh_key_pb2.SshKey(public_key=GOOD)),
            ),
        )
    ]

    assert [each.id for each in seen.ssh_keys] == [inside.id]
    assert [each.reason for each in refusals] == [Reason.PERMISSION_DENIED] * 3
    await create(world, metadata=metadata, project_id=PROJECT)


async def test_a_right_that_leaves_a_project_out_reaches_all_but_its_keys(world: World) -> None:
    await world.hear("project.created", PROJECT, Project(id=PROJECT))
    outside, inside = await create(world), await create(world, project_id=PROJECT)
    caller = await world.create_key()
    metadata = (("authorization", f"Bearer {caller.secret}"),)
    world.decisions.reach = Reach(except_project_ids=frozenset({PROJECT}))

    async def seen(**fields: Any) -> tuple[list[str], int]:
        request = ssh_key_service_pb2.ListSshKeysRequest(with_total_size=True, **fields)
        answer = await world.ssh_keys.ListSshKeys(request, metadata=metadata)
        return [each.id for each in answer.ssh_keys], answer.total_size

    def changed(key_id: str) -> Any:
        request = ssh_key_service_pb2.UpdateSshKeyRequest(
            ssh_key=ssh_key_pb2.SshKey(id=key_id, name="mine"), update_mask=FieldMask(paths=["name"])
        )
        return world.ssh_keys.UpdateSshKey(request, metadata=metadata)

    def shown(key_id: str) -> Any:
        return world.ssh_keys.GetSshKey(ssh_key_service_pb2.GetSshKeyRequest(id=key_id), metadata=metadata)

    def deleted(key_id: str) -> Any:
        return world.ssh_keys.DeleteSshKey(ssh_key_service_pb2.DeleteSshKeyRequest(id=key_id), metadata=metadata)

    assert await seen() == ([outside.id], 1)
    assert await seen(project_ids=[PROJECT]) == ([], 0)
    assert await seen(project_ids=[PROJECT, ORGANIZATION]) == ([outside.id], 1)
    refusals = [
        await world.refusal(create(world, metadata=metadata, project_id=PROJECT)),
        await world.refusal(shown(inside.id)),
        await world.refusal(changed(inside.id)),
        await world.refusal(deleted(inside.id)),
    ]
    assert [each.reason for each in refusals] == [Reason.PERMISSION_DENIED] * 4
    await create(world, metadata=metadata)
    assert (await shown(outside.id)).id == outside.id
    assert (await changed(outside.id)).name == "mine"
    await deleted(outside.id)
    world.decisions.reach = Reach()
    assert await listed(world, project_ids=[PROJECT]) == [inside.id]
    assert await get(world, inside.id) == inside


async def test_every_call_about_keys_asks_in_which_projects_it_holds(world: World) -> None:
    key = await create(world)
    caller = await world.create_key()
    metadata = (("authorization", f"Bearer {caller.secret}"),)
    world.decisions.asked.clear()

    await world.ssh_keys.ListSshKeys(ssh_key_service_pb2.ListSshKeysRequest(), metadata=metadata)
    await world.ssh_keys.GetSshKey(ssh_key_service_pb2.GetSshKeyRequest(id=key.id), metadata=metadata)
    await create(world, metadata=metadata)
    await world.ssh_keys.DeleteSshKey(ssh_key_service_pb2.DeleteSshKeyRequest(id=key.id), metadata=metadata)

    assert [each.in_projects for each in world.decisions.asked] == [True] * 4


@pytest.mark.parametrize("ending", ["call", "project", "organization"])
async def test_a_key_ends_by_a_call_with_its_project_and_with_its_organization(world: World, ending: str) -> None:
    await world.hear("project.created", PROJECT, Project(id=PROJECT))
    key = await create(world, project_id=PROJECT)

    if ending == "call":
        await world.ssh_keys.DeleteSshKey(ssh_key_service_pb2.DeleteSshKeyRequest(id=key.id), metadata=world.system)
    elif ending == "project":
        await world.hear("project.deleted", PROJECT)
    else:
        await world.hear("organization.deleted", ORGANIZATION, Organization(id=ORGANIZATION))

    assert (await world.refusal(get(world, key.id))).reason is Reason.RESOURCE_NOT_FOUND
    if ending != "organization":
        assert "ssh_key.deleted" in [each.type for each in await world.events()]


async def test_a_key_in_an_unknown_project_is_refused(world: World) -> None:
    error = await world.refusal(create(world, project_id=fresh_id()))

    assert error.reason in (Reason.RESOURCE_NOT_FOUND, Reason.UNAVAILABLE)
