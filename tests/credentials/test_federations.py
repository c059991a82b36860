"""Federation settings: one for each organization, complete or what is missing first, certificates of either side."""

import asyncio
import base64
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from google.protobuf.field_mask_pb2 import FieldMask

from concord.credentials.v1 import federation_pb2, federation_service_pb2
from concord.kernel.errors import Reason
from concord.kernel.rpc.wire import instant_to_wire
from credentials.making import World, fresh_id
from fakes import ORGANIZATION, START

KEY = ec.generate_private_key(ec.SECP256R1())
ENTITY, URL = "https://idp.example/metadata", "https://idp.example/sso?tenant=1"


def certificate(days: int = 30) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(START - timedelta(days=400))
    signed = builder.not_valid_after(START + timedelta(days=days)).sign(KEY, SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


async def create(world: World, **fields: Any) -> Any:
    return await world.federations.CreateFederation(
        federation_service_pb2.CreateFederationRequest(federation=federation_pb2.Federation(**fields)),
        metadata=world.system,
    )


async def get(world: World, federation_id: str = "") -> Any:
    return await world.federations.GetFederation(
        federation_service_pb2.GetFederationRequest(id=federation_id), metadata=world.system
    )


async def update(world: World, federation: Any, path: str, **fields: Any) -> Any:
    return await world.federations.UpdateFederation(
        federation_service_pb2.UpdateFederationRequest(
            federation=federation_pb2.Federation(id=federation.id, **fields), update_mask=FieldMask(paths=[path])
        ),
        metadata=world.system,
    )


async def add(world: World, federation: Any, content: str, **fields: Any) -> Any:
    return await world.federations.AddFederationCertificate(
        federation_service_pb2.AddFederationCertificateRequest(
            federation_id=federation.id,
            certificate=federation_pb2.FederationCertificate(content=content, **fields),
        ),
        metadata=world.system,
    )


async def test_the_status_names_the_first_thing_missing(world: World) -> None:
    empty = await create(world)
    named = await update(world, empty, "entity_id", entity_id=ENTITY)
    certified = await add(world, empty, certificate())
    after = await get(world)
    complete = await update(world, empty, "single_sign_on_url", single_sign_on_url=URL)
    unnamed = await update(world, empty, "entity_id", entity_id="")

    assert empty.status == federation_pb2.FEDERATION_STATUS_MISSING_CERTIFICATE
    assert named.status == federation_pb2.FEDERATION_STATUS_MISSING_CERTIFICATE
    assert after.status == federation_pb2.FEDERATION_STATUS_MISSING_SINGLE_SIGN_ON_URL
    assert complete.status == federation_pb2.FEDERATION_STATUS_VALID
    assert unnamed.status == federation_pb2.FEDERATION_STATUS_MISSING_ENTITY_ID
    assert certified.origin == federation_pb2.CERTIFICATE_ORIGIN_IDENTITY_PROVIDER
    assert empty.assertion_consumer_url == f"{empty.service_provider_entity_id}/login"
    assert empty.id in empty.service_provider_entity_id


async def test_only_a_live_signing_certificate_of_the_other_side_completes_it(world: World) -> None:
    federation = await create(world, entity_id=ENTITY, single_sign_on_url=URL)

    await add(world, federation, certificate(), type=federation_pb2.CERTIFICATE_TYPE_ENCRYPTION)
    await add(world, federation, certificate(), origin=federation_pb2.CERTIFICATE_ORIGIN_SERVICE)
    await add(world, federation, certificate(days=-1))
    incomplete = await get(world)
    await add(world, federation, certificate(days=1))
    complete = await get(world)
    world.clock.set(START + timedelta(days=1))
    over = await get(world)

    missing = federation_pb2.FEDERATION_STATUS_MISSING_CERTIFICATE
    assert [each.status for each in (incomplete, complete, over)] == [
        missing,
        federation_pb2.FEDERATION_STATUS_VALID,
        missing,
    ]


async def test_a_certificate_is_kept_byte_for_byte_and_shown_again(world: World) -> None:
    federation = await create(world)
    content = "comment\r\n" + certificate() + "\n\n"

    added = await add(world, federation, content)
    found = await world.federations.GetFederationCertificate(
        federation_service_pb2.GetFederationCertificateRequest(id=added.id), metadata=world.system
    )
    listed = await world.federations.ListFederationCertificates(
        federation_service_pb2.ListFederationCertificatesRequest(federation_id=federation.id), metadata=world.system
    )

    assert added.content == content
    assert added.expire_time == instant_to_wire(START + timedelta(days=30))
    assert (added.subject, added.type) == ("CN=idp", federation_pb2.CERTIFICATE_TYPE_SIGNING)
    assert found == added
    assert list(listed.certificates) == [added]


async def test_an_organization_has_one_federation(world: World) -> None:
    answers = await asyncio.gather(*(create(world) for _ in range(20)), return_exceptions=True)

    made = [each for each in answers if not isinstance(each, BaseException)]
    assert len(made) == 1
    assert (await world.refusal(create(world))).reason is Reason.RESOURCE_ALREADY_EXISTS


async def test_a_federation_goes_with_its_certificates(world: World) -> None:
    federation = await create(world, entity_id=ENTITY)
    added = await add(world, federation, certificate())

    await world.federations.DeleteFederation(
        federation_service_pb2.DeleteFederationRequest(id=federation.id), metadata=world.system
    )

    assert (await world.refusal(get(world))).reason is Reason.RESOURCE_NOT_FOUND
    asked = world.federations.GetFederationCertificate(
        federation_service_pb2.GetFederationCertificateRequest(id=added.id), metadata=world.system
    )
    assert (await world.refusal(asked)).reason is Reason.RESOURCE_NOT_FOUND
    again = await create(world)
    assert again.id != federation.id
    assert again.status == federation_pb2.FEDERATION_STATUS_MISSING_CERTIFICATE
    types = [each.type for each in await world.events()]
    assert types[-4:] == [
        "federation.created",
        "federation_certificate.added",
        "federation.deleted",
        "federation.created",
    ]


async def test_a_certificate_is_deleted_once(world: World) -> None:
    federation = await create(world)
    added = await add(world, federation, certificate())

    async def delete() -> Any:
        return await world.federations.DeleteFederationCertificate(
            federation_service_pb2.DeleteFederationCertificateRequest(id=added.id), metadata=world.system
        )

    await delete()

    assert (await world.refusal(delete())).reason is Reason.RESOURCE_NOT_FOUND


def altered(before: bytes, after: bytes) -> str:
    """Return a certificate with other bytes in it, of as many as there were."""
    der = base64.b64decode("".join(certificate().split("\n")[1:-2]))
    assert before in der
    text = base64.encodebytes(der.replace(before, after)).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "content",
    [
        "x",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        certificate() + certificate(),
        certificate() + PRIVATE,
        PRIVATE,
        certificate()[:200],
        certificate() + "#" * 16_384,
        # A version that there is not, and a name that is no text.
        altered(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x08"),
        altered(b"\x0c\x03idp", b"\x03\x03idp"),
    ],
    ids=range(9),
)
async def test_what_is_not_one_certificate_is_refused_and_not_repeated(world: World, content: str) -> None:
    federation = await create(world)

    error: Any = await world.refusal(add(world, federation, content))

    assert error.reason is Reason.INVALID_FIELDS
    assert [each.field for each in error.violations] == ["certificate.content"]
    assert PRIVATE[40:80] not in str(error)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"single_sign_on_url": "http://idp.example/"}, "federation.single_sign_on_url"),
        ({"single_sign_on_url": "javascript:alert(1)"}, "federation.single_sign_on_url"),
        ({"single_sign_on_url": "https://user:pw@idp.example/"}, "federation.single_sign_on_url"),
        ({"single_sign_on_url": "https://"}, "federation.single_sign_on_url"),
        ({"single_sign_on_url": "https://idp.example/#x"}, "federation.single_sign_on_url"),
        ({"single_sign_on_url": "https://idp.example/ x"}, "federation.single_sign_on_url"),
        ({"single_sign_on_url": "https://idp.example:99999/"}, "federation.single_sign_on_url"),
        ({"single_sign_on_url": "https://idp.example/" + "x" * 2048}, "federation.single_sign_on_url"),
        ({"entity_id": "e" * 1025}, "federation.entity_id"),
        ({"kind": 7}, "federation.kind"),
        ({"attributes": {"bad": "v"}}, "federation.attributes"),
    ],
)
async def test_bad_settings_are_named(world: World, fields: Any, field: str) -> None:
    error: Any = await world.refusal(create(world, **fields))

    assert [each.field for each in error.violations] == [field]
    assert (await world.refusal(get(world))).reason is Reason.RESOURCE_NOT_FOUND


async def test_an_unknown_id_a_stale_etag_and_a_repeated_certificate_are_refused(world: World) -> None:
    federation = await create(world)
    content = certificate()
    await add(world, federation, content)

    refusals = [
        await world.refusal(get(world, fresh_id())),
        await world.refusal(update(world, federation, "entity_id", entity_id="x", etag="9")),
        await world.refusal(update(world, federation, "kind")),
        await world.refusal(add(world, federation, content)),
        await world.refusal(add(world, federation_pb2.Federation(id=fresh_id()), certificate())),
    ]

    assert [each.reason for each in refusals] == [
        Reason.RESOURCE_NOT_FOUND,
        Reason.ETAG_MISMATCH,
        Reason.INVALID_FIELDS,
        Reason.RESOURCE_ALREADY_EXISTS,
        Reason.RESOURCE_NOT_FOUND,
    ]
    assert (await get(world, federation.id)).organization_id == ORGANIZATION


async def test_a_federation_has_twenty_certificates_at_most(world: World) -> None:
    federation = await create(world)
    for _ in range(20):
        await add(world, federation, certificate())

    error = await world.refusal(add(world, federation, certificate()))

    assert error.reason is Reason.INVALID_STATE
