"""Who may call: credentials, forgeries, hostile metadata, the question to the decision point."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from concord.kernel.errors import ConcordError, Invalid, NotFound, Reason, Unauthenticated
from concord.kernel.feed.revision import encode_revisions
from concord.kernel.principal import PrincipalKind, PrincipalRef, Reach, TargetClass, Verdict
from concord.kernel.rpc.authentication import PassportSigner, ServiceTokens, mint_service_token
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.status import from_rpc_error
from fakes import calling
from kernel.rpc_fixtures import (
    ORGANIZATION,
    OWNER_ID,
    THING_ID,
    TRANSPORTS,
    USER_ID,
    GetThingRequest,
    ListThingsRequest,
    Thing,
    UpdateThingRequest,
    open_world,
)


@pytest.fixture(params=TRANSPORTS)
async def world(request):
    async with open_world(request.param) as opened:
        yield opened


async def refusal_of(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return from_rpc_error(caught.value)


def bearer(token):
    return (("authorization", f"Bearer {token}"),)


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def observed(world):
    """Let the servicer remember its calls."""
    calls = []

    async def look(request, context):
        calls.append(Call.current())
        return Thing(name="x")

    world.servicer.handle = look
    return calls


async def test_a_call_without_a_credential_is_unauthenticated_and_not_denied(world):
    refusal = await refusal_of(world.stub.GetThing(GetThingRequest()))

    assert refusal.reason is Reason.CREDENTIAL_MISSING
    assert world.decider.questions == []


async def test_a_call_that_nothing_allows_is_denied_with_the_permission(world):
    world.decider.verdict = Verdict(allowed=False)

    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert refusal.reason is Reason.PERMISSION_DENIED
    assert refusal.metadata["permission"] == "testing.things.get"


async def test_a_refused_operation_says_so(world):
    world.decider.verdict = Verdict(allowed=False, refusal="`a/B` does not stand for this")

    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert refusal.reason is Reason.OPERATION_MISMATCH


@pytest.mark.parametrize("reason", [Reason.CREDENTIAL_REVOKED, Reason.PRINCIPAL_SUSPENDED, Reason.PRINCIPAL_DELETED])
async def test_the_decision_point_may_refuse_an_identity_that_ended(world, reason):
    world.decider.error = Unauthenticated(reason)

    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert refusal.reason is reason


async def test_anybody_may_call_a_public_rpc(world):
    assert await world.stub.Ping(GetThingRequest())
    assert world.decider.questions == []


async def test_only_the_suites_processes_may_call_a_service_rpc(world):
    refusal = await refusal_of(world.stub.Inside(GetThingRequest(), metadata=world.as_user()))

    assert refusal.reason is Reason.SERVICE_ONLY
    assert await world.stub.Inside(GetThingRequest(), metadata=world.as_role("identity"))


async def test_a_deployment_rpc_is_decided_as_such(world):
    await world.stub.Deploy(GetThingRequest(), metadata=world.as_role("system"))
    world.decider.verdict = Verdict(allowed=False)
    refusal = await refusal_of(world.stub.Deploy(GetThingRequest(), metadata=world.as_user()))

    assert world.decider.questions[0].deployment is True
    assert refusal.reason is Reason.PERMISSION_DENIED


async def test_a_passport_is_verified_once_and_expires_all_the_same(world):
    metadata = world.as_user()
    await world.stub.GetThing(GetThingRequest(), metadata=metadata)
    await world.stub.GetThing(GetThingRequest(), metadata=metadata)
    asked = list(world.keys.asked)

    world.clock.advance(timedelta(minutes=5))
    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=metadata))

    assert asked == ["k1"]
    assert refusal.reason is Reason.CREDENTIAL_EXPIRED


def forgeries(world):
    good = world.token()
    head, claims, signature = good.split(".")
    thief = Ed25519PrivateKey.generate()
    public = world.passport_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    body = json.loads(base64.urlsafe_b64decode(claims + "=="))
    thiefs = base64.urlsafe_b64encode(thief.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    confused = f"{encoded({'alg': 'HS256', 'typ': 'passport+jwt', 'kid': 'k1'})}.{claims}"
    mac = base64.urlsafe_b64encode(hmac.new(public, confused.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": thiefs.rstrip("=")}
    with_key = f"{encoded({'alg': 'Ed25519', 'typ': 'passport+jwt', 'kid': 'k1', 'jwk': jwk})}.{claims}"
    own_signature = base64.urlsafe_b64encode(thief.sign(with_key.encode())).decode().rstrip("=")
    pointing = {"alg": "Ed25519", "typ": "passport+jwt", "kid": "../k1"}
    return {
        "another key": PassportSigner("k1", thief).sign(world.passport()),
        "an unknown key id": PassportSigner("k2", thief).sign(world.passport()),
        "a path as key id": f"{encoded(pointing)}.{claims}.{signature}",
        "no algorithm": f"{encoded({'alg': 'none', 'typ': 'passport+jwt', 'kid': 'k1'})}.{claims}.",
        "the public key as a secret": f"{confused}.{mac}",
        "a key of its own": f"{with_key}.{own_signature}",
        "changed claims": f"{head}.{encoded({**body, 'sub': OWNER_ID})}.{signature}",
        "no signature": f"{head}.{claims}.",
        "another type": f"{encoded({'alg': 'Ed25519', 'typ': 'service+jwt', 'kid': 'k1'})}.{claims}.{signature}",
        "an unknown role": mint_service_token("admin", thief),
        "a role's name and another key": mint_service_token("system", thief),
        "another role's key": mint_service_token("system", world.role_keys["gateway"], clock=world.clock),
    }


FORGERIES = (
    "another key",
    "an unknown key id",
    "a path as key id",
    "no algorithm",
    "the public key as a secret",
    "a key of its own",
    "changed claims",
    "no signature",
    "another type",
    "an unknown role",
    "a role's name and another key",
    "another role's key",
)


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_kb33_a_forged_passport_is_refused(world, forgery):
    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=bearer(forgeries(world)[forgery])))

    assert refusal.reason is Reason.CREDENTIAL_INVALID
    # It says that it is a passport, so credentials is not asked what else it might be.
    assert world.admitter.shown == []
    assert world.decider.questions == []


async def test_a_passport_of_the_future_is_refused(world):
    token = world.token(
        issue_time=world.clock.now() + timedelta(minutes=2), expire_time=world.clock.now() + timedelta(minutes=3)
    )

    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=bearer(token)))

    assert refusal.reason is Reason.CREDENTIAL_INVALID


async def test_a_passport_says_all_that_it_was_signed_for(world):
    calls = observed(world)
    passport = world.passport(
        session_id="s", api_key_id="k", mfa=True, ceiling=("a.b", "c"), rights_snapshot_id="snap", methods=("session",)
    )

    await world.stub.GetThing(
        GetThingRequest(), metadata=bearer(PassportSigner("k1", world.passport_key).sign(passport))
    )

    seen = calls[0].passport
    for name in ("principal", "organization_id", "session_id", "api_key_id", "mfa", "ceiling", "methods"):
        assert getattr(seen, name) == getattr(passport, name)
    assert (seen.issue_time, seen.expire_time) == (passport.issue_time, passport.expire_time)
    assert calls[0].organization_id == ORGANIZATION


def test_a_passport_for_longer_than_five_minutes_is_not_signed():
    key = Ed25519PrivateKey.generate()

    with pytest.raises(ValueError, match="five minutes"):
        PassportSigner("k", key).sign(_long_passport())


def _long_passport():
    from concord.kernel.clock import SystemClock
    from concord.kernel.principal import Passport

    now = SystemClock().now()
    return Passport(PrincipalRef(PrincipalKind.USER, USER_ID), ORGANIZATION, now, now + timedelta(minutes=6))


def test_only_the_system_principal_gets_a_token_for_an_organization():
    with pytest.raises(ValueError, match="system"):
        mint_service_token("gateway", Ed25519PrivateKey.generate(), ORGANIZATION)


async def test_a_process_renews_its_token_before_it_ends(world):
    tokens = ServiceTokens("identity", world.role_keys["identity"], world.clock)
    first = tokens()
    assert tokens() == first

    world.clock.advance(timedelta(minutes=3))
    second = tokens()
    world.clock.advance(timedelta(minutes=2))

    assert second != first
    assert (await refusal_of(world.stub.Inside(GetThingRequest(), metadata=bearer(first)))).reason is (
        Reason.CREDENTIAL_EXPIRED
    )
    assert await world.stub.Inside(GetThingRequest(), metadata=bearer(second))


@pytest.mark.parametrize(
    ("header", "access_id", "secret"),
    [
        ("Bearer opaque-access-token", "", "opaque-access-token"),
        ("bearer a.b.c", "", "a.b.c"),
        ("Basic " + base64.b64encode(b"AK1:se:cret").decode(), "AK1", "se:cret"),
    ],
)
async def test_what_is_no_passport_is_exchanged_for_one(world, header, access_id, secret):
    await world.stub.GetThing(GetThingRequest(), metadata=(("authorization", header),))
    await world.stub.GetThing(GetThingRequest(), metadata=(("authorization", header),))

    assert [shown[:2] for shown in world.admitter.shown] == [(access_id, secret)]


async def test_kb01_what_is_remembered_of_a_credential_belongs_to_the_place_it_was_shown_at(world):
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        metadata = (
            ("authorization", "Bearer some-api-key-secret"),
            ("concord-service", world.service_token("gateway")),
            ("concord-caller-address", address),
        )
        await world.stub.GetThing(GetThingRequest(), metadata=metadata)

    assert [shown[2] for shown in world.admitter.shown] == ["192.0.2.1", "192.0.2.2"]
    assert [question.passport.caller_address for question in world.decider.questions] == [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.1",
    ]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer  ", "Token abc", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer a b", "Bearer " + "x" * 9000],
)
async def test_a_malformed_credential_is_unauthenticated(world, header):
    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=(("authorization", header),)))

    assert refusal.reason in (Reason.CREDENTIAL_INVALID, Reason.CREDENTIAL_MISSING)
    assert world.admitter.shown == []


async def test_two_credentials_are_refused_whichever_is_good(world):
    good, bad = world.as_user()[0], ("authorization", "Bearer x")

    for pair in ((good, bad), (bad, good), (good, good)):
        refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=pair))
        assert refusal.reason is Reason.CREDENTIAL_INVALID


@pytest.mark.parametrize("name", ["concord-operation", "concord-caller-address", "concord-revision"])
async def test_repeated_metadata_is_refused_by_name(world, name):
    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user((name, "a"), (name, "b"))))

    assert [violation.field for violation in refusal.violations] == [name]


async def test_an_operation_reaches_the_decision_point_and_a_huge_one_does_not(world):
    await world.stub.GetThing(GetThingRequest(), metadata=world.as_user(("concord-operation", "soracom/User:getUser")))
    refusal = await refusal_of(
        world.stub.GetThing(GetThingRequest(), metadata=world.as_user(("concord-operation", "x" * 201)))
    )

    assert [question.operation for question in world.decider.questions] == ["soracom/User:getUser"]
    assert refusal.violations[0].field == "concord-operation"


@pytest.mark.parametrize("role", [None, "identity", "gateway"])
async def test_only_a_gateway_is_believed_about_the_callers_address(world, role):
    calls = observed(world)
    more = [("concord-caller-address", "203.0.113.9"), ("concord-caller-agent", "curl/8")]
    if role:
        more.append(("concord-service", world.service_token(role)))

    await world.stub.GetThing(GetThingRequest(), metadata=world.as_user(*more))

    assert (calls[0].address == "203.0.113.9") is (role == "gateway")
    assert (calls[0].agent == "curl/8") is (role == "gateway")
    assert (world.decider.questions[0].passport.caller_address == "203.0.113.9") is (role == "gateway")


async def test_a_passport_shown_over_the_network_does_not_bring_its_address_along():
    async with open_world("grpc") as world:
        await world.stub.GetThing(GetThingRequest(), metadata=world.as_user(caller_address="203.0.113.9"))

    assert world.decider.questions[0].passport.caller_address == "127.0.0.1"


async def test_a_passport_shown_inside_the_process_keeps_its_address():
    async with open_world("inprocess") as world:
        await world.stub.GetThing(GetThingRequest(), metadata=world.as_user(caller_address="203.0.113.9"))

    assert world.decider.questions[0].passport.caller_address == "203.0.113.9"


async def test_a_service_that_passes_its_caller_on_keeps_place_and_call_id(world):
    calls = observed(world)
    first = "0123456789abcdef0123456789abcdef"
    passed_on = (("concord-service", world.service_token("identity")), ("concord-call-id", first))

    await world.stub.GetThing(GetThingRequest(), metadata=world.as_user(*passed_on, caller_address="203.0.113.9"))

    assert (calls[0].call_id, calls[0].address) == (first, "203.0.113.9")
    assert calls[0].author.principal == PrincipalRef(PrincipalKind.USER, USER_ID)


async def test_a_user_cannot_choose_the_call_id(world):
    calls = observed(world)
    chosen = "0123456789abcdef0123456789abcdef"

    await world.stub.GetThing(GetThingRequest(), metadata=world.as_user(("concord-call-id", chosen)))

    assert calls[0].call_id != chosen


async def test_a_users_passport_is_no_service_token(world):
    refusal = await refusal_of(
        world.stub.GetThing(GetThingRequest(), metadata=world.as_user(("concord-service", world.token())))
    )

    assert refusal.reason is Reason.CREDENTIAL_INVALID


async def test_the_question_tells_target_mask_pinned_values_and_resource(world):
    request = UpdateThingRequest(
        thing=Thing(
            id=THING_ID.upper(),
            name="n",
            kind=2,
            kinds=[1, 2],
            tags=["a", "b"],
            bearer={"id": OWNER_ID.upper(), "kind": 1},
        ),
        update_mask={"paths": ["name", "kind"]},
    )

    await world.stub.UpdateThing(request, metadata=world.as_user())

    question = world.decider.questions[0]
    assert question.rpc == "concord.testing.v1.ThingService/UpdateThing"
    # Folded, or the owner in capitals would pass for a stranger.
    assert question.target == PrincipalRef(PrincipalKind.USER, OWNER_ID)
    assert question.resource_id == THING_ID
    assert question.update_mask == ("name", "kind")
    assert question.classes == (TargetClass.OWN, TargetClass.OWNER)
    assert question.pinned == {
        "thing.kind": "KIND_LARGE",
        "thing.tags": "a,b",
        "thing.kinds": "KIND_SMALL,KIND_LARGE",
        "thing.hidden": "false",
        "thing.note": "",
    }


async def test_a_target_may_be_named_by_a_users_id_alone(world):
    await world.stub.ListThings(ListThingsRequest(user_id=USER_ID), metadata=world.as_user())
    await world.stub.ListThings(ListThingsRequest(), metadata=world.as_user())

    assert [question.target for question in world.decider.questions] == [
        PrincipalRef(PrincipalKind.USER, USER_ID),
        None,
    ]


@pytest.mark.parametrize(
    ("classes", "target", "admitted"),
    [
        ({TargetClass.ANY, TargetClass.OWN}, "stranger", True),
        ({TargetClass.ANY, TargetClass.OWN}, USER_ID, True),
        ({TargetClass.ANY, TargetClass.OWN}, OWNER_ID, False),
        ({TargetClass.OWN}, USER_ID, True),
        ({TargetClass.OWN}, "stranger", False),
        ({TargetClass.OWNER}, OWNER_ID, True),
        ({TargetClass.OWNER}, USER_ID, False),
        (set(), USER_ID, False),
    ],
)
async def test_a_handler_tests_a_target_that_the_request_did_not_name(world, classes, target, admitted):
    world.decider.verdict = Verdict(allowed=True, reach=Reach(classes=frozenset(classes), owner_user_id=OWNER_ID))

    async def check(request, context):
        Call.current().require_target(PrincipalRef(PrincipalKind.USER, target))
        return Thing(name="x")

    world.servicer.handle = check
    call = world.stub.ListThings(ListThingsRequest(), metadata=world.as_user())

    if admitted:
        assert await call
    else:
        assert (await refusal_of(call)).reason is Reason.PERMISSION_DENIED


async def test_a_revision_token_is_waited_for_before_anything_is_decided(world):
    waited = []

    async def wait(revisions, seconds):
        waited.append(dict(revisions))
        raise ConcordError(Reason.UNAVAILABLE, "not yet")

    world.steps.waiters["testing"] = wait
    token = encode_revisions({"identity": 7, "policy": 3})

    refusal = await refusal_of(
        world.stub.GetThing(GetThingRequest(), metadata=world.as_user(("concord-revision", token)))
    )

    assert waited == [{"identity": 7, "policy": 3}]
    assert refusal.reason is Reason.UNAVAILABLE
    assert world.decider.questions == []


@pytest.mark.parametrize("token", ["!", "x" * 3000, "aWRlbnRpdHk", encode_revisions({"a": 1})[:-2] + "__"])
async def test_kb13_a_broken_revision_token_is_refused(world, token):
    refusal = await refusal_of(
        world.stub.GetThing(GetThingRequest(), metadata=world.as_user(("concord-revision", token)))
    )

    assert refusal.reason is Reason.INVALID_FIELDS


async def test_a_caller_in_no_organization_cannot_use_one(world):
    async def use(request, context):
        return Thing(name=Call.current().organization_id)

    world.servicer.handle = use

    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_role("identity")))

    assert refusal.reason is Reason.PERMISSION_DENIED


@pytest.mark.parametrize("requested", ["", ORGANIZATION, ORGANIZATION.upper()])
def test_a_request_may_name_the_callers_own_organization_or_none(requested):
    with calling(organization_id=ORGANIZATION) as call:
        assert call.own_organization(requested) == ORGANIZATION


def test_a_request_that_names_another_organization_answers_as_if_there_were_none():
    another = "0198f3a2-0000-7000-8000-00000000dead"

    with calling(organization_id=ORGANIZATION) as call, pytest.raises(NotFound) as refusal:
        call.own_organization(another)

    assert (refusal.value.resource_type, refusal.value.resource_id) == ("organization", another)


def test_a_request_that_names_no_uuid_as_its_organization_is_invalid():
    with calling(organization_id=ORGANIZATION) as call, pytest.raises(Invalid) as refusal:
        call.own_organization("nowhere")

    assert [(each.field, each.rule) for each in refusal.value.violations] == [("organization_id", "uuid")]


async def test_the_cache_of_passports_is_bounded(world):
    for number in range(150):
        await world.stub.GetThing(GetThingRequest(), metadata=world.as_user(session_id=f"s{number}"))

    assert len(world.steps.verifier._recent) <= 100
