"""The vendor's unmodified client: SSH keys, logins, what an organization demands of them, SAML, copies of policies."""

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pyotp
import pytest
import yaml
from scaleway.iam.v1alpha1 import IamV1Alpha1API
from scaleway.iam.v1alpha1.types import (
    CreateUserRequestMember,
    GracePeriodType,
    OrganizationSecuritySettings,
    SamlCertificateOrigin,
    SamlCertificateType,
    SamlStatus,
    User,
    UserType,
)
from scaleway_core.api import ScalewayException

from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_USER, PrincipalRef
from concord.credentials.v1 import api_key_pb2, api_key_service_pb2, api_key_service_pb2_grpc
from e2e.clients import iam, log_in
from e2e.test_people import let_manage
from e2e.worlds import make_world, system_metadata
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

PASSWORD = "a Long enough 1 password"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
EXCHANGES = Path(__file__).parents[1] / "gateway" / "scaleway" / "exchanges" / "saml.yaml"


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def refused(call: Callable[[], object]) -> tuple[int, str]:
    """Return the status and the error type with which a call is refused."""
    with pytest.raises(ScalewayException) as caught:
        call()
    return caught.value.status_code, caught.value.response.json()["type"]


def with_token(suite: RunningSuite, token: str) -> IamV1Alpha1API:
    """Return the client as a browser would use it after a login."""
    api = iam(suite, "SCW00000000000000000", str(uuid.uuid4()))
    api.client.secret_key = token
    return api


@pytest.fixture
def person(owner: IamV1Alpha1API) -> Iterator[User]:
    name = unique("ada")
    user = owner.create_user(
        member=CreateUserRequestMember(
            email=f"{name}@people.example",
            send_password_email=False,
            send_welcome_email=False,
            username=name,
            password=PASSWORD,
            first_name="Ada",
            last_name="",
            phone_number="",
            locale="",
        )
    )
    yield user
    owner.delete_user(user_id=user.id)


@pytest.fixture
def settings(owner: IamV1Alpha1API) -> Iterator[OrganizationSecuritySettings]:
    """The settings, put back afterwards."""
    before = owner.get_organization_security_settings()
    yield before
    owner.update_organization_security_settings(
        enforce_password_renewal=before.enforce_password_renewal,
        grace_period_duration=before.grace_period_duration,
        login_attempts_before_locked=before.login_attempts_before_locked,
        max_login_session_duration=before.max_login_session_duration,
        max_api_key_expiration_duration=before.max_api_key_expiration_duration,
    )


def test_ssh_keys(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    name = unique("key")
    key = owner.create_ssh_key(name=name, public_key=f"{PUBLIC_KEY} me@host")

    assert (key.public_key, key.project_id) == (PUBLIC_KEY, suite.bootstrap["organization"]["project_id"])
    assert key.fingerprint.startswith("256 MD5:")
    assert owner.get_ssh_key(ssh_key_id=key.id) == key
    assert [each.id for each in owner.list_ssh_keys_all(name=name)] == [key.id]
    assert owner.update_ssh_key(ssh_key_id=key.id, disabled=True).disabled
    assert owner.list_ssh_keys_all(name=name, disabled=False) == []
    owner.delete_ssh_key(ssh_key_id=key.id)
    assert refused(lambda: owner.get_ssh_key(ssh_key_id=key.id)) == (404, "not_found")
    assert refused(lambda: owner.create_ssh_key(name=name, public_key="nonsense")) == (400, "invalid_arguments")


def test_a_deleted_jwt_is_refused_at_the_next_call(suite: RunningSuite, owner: IamV1Alpha1API, person: User) -> None:
    sessions = [log_in(suite, person.username, PASSWORD) for _ in range(2)]
    browser, other = (with_token(suite, each.access_token.token) for each in sessions)

    listed = owner.list_jw_ts_all(audience_id=person.id)
    assert [each.jti for each in listed] == [each.session.id for each in sessions]
    assert {(each.issuer_id, each.audience_id) for each in listed} == {(person.id, person.id)}
    assert owner.get_jwt(jti=listed[0].jti) == listed[0]
    assert [each.jti for each in browser.list_jw_ts_all(audience_id=person.id)] == [each.jti for each in listed]
    assert owner.list_jw_ts_all(audience_id=person.id, expired=True) == []

    owner.delete_jwt(jti=listed[0].jti)

    assert refused(lambda: browser.list_jw_ts(audience_id=person.id)) == (401, "denied_authentication")
    assert [each.jti for each in other.list_jw_ts_all(audience_id=person.id)] == [listed[1].jti]
    assert refused(lambda: owner.get_jwt(jti=listed[0].jti)) == (404, "not_found")


def test_a_new_password_replaces_the_old_one(suite: RunningSuite, owner: IamV1Alpha1API, person: User) -> None:
    changed = owner.update_user_password(user_id=person.id, password="another Long enough 2 password")

    assert changed.id == person.id
    with pytest.raises(grpc.RpcError):
        log_in(suite, person.username, PASSWORD)
    assert log_in(suite, person.username, "another Long enough 2 password").session.principal.id == person.id


def test_a_new_username_opens_the_next_login(suite: RunningSuite, owner: IamV1Alpha1API, person: User) -> None:
    renamed = owner.update_user_username(user_id=person.id, username=f"{person.username}.new")

    assert (renamed.username, renamed.email) == (f"{person.username}.new", person.email)
    assert log_in(suite, renamed.username, PASSWORD).session.principal.id == person.id


def test_a_second_factor_is_asked_for_until_it_is_taken_away(
    suite: RunningSuite, owner: IamV1Alpha1API, person: User
) -> None:
    secret = owner.create_user_mfaotp(user_id=person.id).secret
    assert secret is not None
    assert not owner.get_user(user_id=person.id).mfa
    code = pyotp.TOTP(secret).now()
    codes = owner.validate_user_mfaotp(user_id=person.id, one_time_password=code).recovery_codes

    assert len(set(codes)) == 10
    assert owner.get_user(user_id=person.id).mfa
    assert person.id in {each.id for each in owner.list_users_all(mfa=True)}
    with pytest.raises(grpc.RpcError):
        log_in(suite, person.username, PASSWORD)
    with pytest.raises(grpc.RpcError):
        # A code is good once: this one turned the factor on.
        log_in(suite, person.username, PASSWORD, code)
    assert refused(lambda: owner.create_user_mfaotp(user_id=person.id)) == (409, "already_exists")

    owner.delete_user_mfaotp(user_id=person.id)

    assert not owner.get_user(user_id=person.id).mfa
    assert log_in(suite, person.username, PASSWORD).session.principal.id == person.id


def test_a_member_without_rights_sets_its_own_second_factor_up_and_takes_it_away(
    suite: RunningSuite, owner: IamV1Alpha1API, person: User
) -> None:
    browser = with_token(suite, log_in(suite, person.username, PASSWORD).access_token.token)
    someone = owner.list_users_all(type_=UserType.OWNER)[0]
    assert refused(lambda: browser.create_user_mfaotp(user_id=someone.id)) == (403, "permissions_denied")
    secret = browser.create_user_mfaotp(user_id=person.id).secret
    assert secret is not None
    browser.validate_user_mfaotp(user_id=person.id, one_time_password=pyotp.TOTP(secret).now())
    assert owner.get_user(user_id=person.id).mfa
    # A program cannot show that the person is there; a session opened with the factor can.
    key = owner.create_api_key(user_id=person.id, description="")
    assert key.secret_key is not None
    program = iam(suite, key.access_key, key.secret_key)
    assert refused(lambda: program.delete_user_mfaotp(user_id=person.id)) == (412, "precondition_failed")

    later = pyotp.TOTP(secret).at(int(time.time()) + 30)
    session = log_in(suite, person.username, PASSWORD, later)
    with_token(suite, session.access_token.token).delete_user_mfaotp(user_id=person.id)

    assert not owner.get_user(user_id=person.id).mfa


def test_a_password_that_others_set_is_to_be_renewed_in_time(
    suite: RunningSuite, owner: IamV1Alpha1API, person: User, settings: OrganizationSecuritySettings
) -> None:
    assert owner.list_grace_periods(user_id=person.id).grace_periods == []
    owner.update_organization_security_settings(enforce_password_renewal=True, grace_period_duration="3600s")
    owner.update_user_password(user_id=person.id, password="another Long enough 2 password")

    session = log_in(suite, person.username, "another Long enough 2 password")

    (period,) = owner.list_grace_periods(user_id=person.id).grace_periods
    assert period.type_ == GracePeriodType.UPDATE_PASSWORD
    assert period.expires_at is not None
    left = period.expires_at - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    own = with_token(suite, session.access_token.token).list_grace_periods().grace_periods
    assert own == [period]


def test_a_login_beyond_the_attempts_locks_until_it_is_unlocked(
    suite: RunningSuite, owner: IamV1Alpha1API, person: User, settings: OrganizationSecuritySettings
) -> None:
    owner.update_organization_security_settings(login_attempts_before_locked=2)
    key = owner.create_api_key(user_id=person.id, description="")
    assert key.secret_key is not None
    program = iam(suite, key.access_key, key.secret_key)
    for _ in range(2):
        with pytest.raises(grpc.RpcError):
            log_in(suite, person.username, "wrong Password 9")

    with pytest.raises(grpc.RpcError):
        log_in(suite, person.username, PASSWORD)
    # Identity hears of it a moment later.
    until = time.monotonic() + 10
    while not owner.get_user(user_id=person.id).locked:
        assert time.monotonic() < until
        time.sleep(0.05)
    # Failed logins by whomever do not stop the user's programs; an administrator's lock does.
    assert program.get_user(user_id=person.id).id == person.id

    assert not owner.unlock_user(user_id=person.id).locked
    assert log_in(suite, person.username, PASSWORD).session.principal.id == person.id


def test_the_settings_bind_what_is_made_from_then_on(
    suite: RunningSuite, owner: IamV1Alpha1API, settings: OrganizationSecuritySettings
) -> None:
    application = owner.create_application(name=unique("bound"), description="")
    changed = owner.update_organization_security_settings(max_api_key_expiration_duration="3600s")

    assert (changed.max_api_key_expiration_duration, changed.login_attempts_before_locked) == (
        "3600s",
        settings.login_attempts_before_locked,
    )
    late = datetime.now(UTC) + timedelta(hours=2)
    soon = datetime.now(UTC) + timedelta(minutes=30)
    unbounded = refused(lambda: owner.create_api_key(application_id=application.id, description=""))
    too_late = refused(lambda: owner.create_api_key(application_id=application.id, description="", expires_at=late))
    assert unbounded == too_late == (400, "invalid_arguments")
    assert owner.create_api_key(application_id=application.id, description="", expires_at=soon).secret_key
    owner.delete_application(application_id=application.id)


def test_a_way_to_log_in_is_closed_at_once(suite: RunningSuite, owner: IamV1Alpha1API, person: User) -> None:
    assert not owner.update_organization_login_methods(login_password_enabled=False).login_password_enabled
    try:
        with pytest.raises(grpc.RpcError):
            log_in(suite, person.username, PASSWORD)
    finally:
        assert owner.update_organization_login_methods(login_password_enabled=True).login_password_enabled
    assert log_in(suite, person.username, PASSWORD).session.principal.id == person.id


def test_saml_tells_what_is_missing(owner: IamV1Alpha1API) -> None:
    pem = next(
        case["given"][1]["body"]["content"]
        for case in yaml.safe_load(EXCHANGES.read_text("utf-8"))["exchanges"]
        if case["name"] == "with a certificate the entity id is missed"
    )
    assert refused(owner.get_organization_saml) == (404, "not_found")
    saml = owner.enable_organization_saml()
    try:
        assert saml.status == SamlStatus.MISSING_CERTIFICATE
        certificate = owner.add_saml_certificate(saml_id=saml.id, type_=SamlCertificateType.SIGNING, content=pem)
        assert (certificate.content, certificate.origin) == (pem, SamlCertificateOrigin.IDENTITY_PROVIDER)
        assert owner.get_saml_certificate(certificate_id=certificate.id) == certificate
        assert owner.list_saml_certificates(saml_id=saml.id).certificates == [certificate]
        named = owner.update_saml(saml_id=saml.id, entity_id="https://idp.example/id")
        assert named.status == SamlStatus.MISSING_SINGLE_SIGN_ON_URL
        owner.update_saml(saml_id=saml.id, single_sign_on_url="https://idp.example/sso")
        assert owner.get_organization_saml().status == SamlStatus.VALID
        owner.delete_saml_certificate(certificate_id=certificate.id)
        assert owner.get_organization_saml().status == SamlStatus.MISSING_CERTIFICATE
    finally:
        owner.delete_saml(saml_id=saml.id)
    assert refused(lambda: owner.list_saml_certificates(saml_id=saml.id)) == (404, "not_found")


def test_an_alias_is_given_once(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    alias = f"a{uuid.uuid4().hex[:8]}"

    assert owner.set_organization_alias(alias=alias).alias == alias
    assert owner.get_organization().alias == alias
    assert refused(lambda: owner.set_organization_alias(alias=alias)) == (412, "precondition_failed")
    assert refused(lambda: owner.set_organization_alias(alias="A!")) == (400, "invalid_arguments")


def key_elsewhere(suite: RunningSuite, organization_id: str, user_id: str) -> str:
    """Return the secret of a key, as this API knows keys, of a user in another organization."""
    key = api_key_pb2.ApiKey(bearer=PrincipalRef(kind=PRINCIPAL_KIND_USER, id=user_id))
    look = api_key_pb2.KeyFormat(access_id_prefix="SCW", access_id_length=17, secret_is_uuid=True)
    with grpc.insecure_channel(suite.grpc("credentials")) as channel:
        secret: str = (
            api_key_service_pb2_grpc.ApiKeyServiceStub(channel)
            .CreateApiKey(
                api_key_service_pb2.CreateApiKeyRequest(api_key=key, key_format=look),
                metadata=system_metadata(suite.data_dir, organization_id),
                timeout=30,
            )
            .secret
        )
    return secret


def test_a_person_connects_users_of_two_organizations(suite: RunningSuite, owner: IamV1Alpha1API, person: User) -> None:
    world = make_world(suite, "elsewhere")
    there = with_token(suite, key_elsewhere(suite, world.ids["organization"], world.ids["user"]))
    assert there.get_user_connections(user_id=world.ids["user"]).connections == []
    token = owner.initiate_user_connection(user_id=person.id).token
    # Joining takes a right of the organization there; seeing the own connections takes none.
    assert refused(lambda: there.join_user_connection(user_id=world.ids["user"], token=token))[0] == 403
    let_manage(suite, world)

    there.join_user_connection(user_id=world.ids["user"], token=token)

    (here,) = owner.get_user_connections(user_id=person.id).connections
    assert here.organization is not None
    assert here.user is not None
    assert (here.organization.id, here.organization.name) == (world.ids["organization"], "elsewhere")
    assert (here.user.id, here.user.username) == (world.ids["user"], world.ids["username"])
    (back,) = there.get_user_connections(user_id=world.ids["user"]).connections
    assert back.user is not None
    assert back.user.id == person.id
    assert refused(lambda: there.get_user(user_id=person.id))[0] in (403, 404)
    assert refused(lambda: there.join_user_connection(user_id=world.ids["user"], token=token))[0] == 400

    there.remove_user_connection(user_id=world.ids["user"], target_user_id=person.id)

    assert owner.get_user_connections(user_id=person.id).connections == []
    gone = refused(lambda: owner.remove_user_connection(user_id=person.id, target_user_id=world.ids["user"]))
    assert gone == (404, "not_found")


def test_a_copy_of_a_policy_is_one_of_its_own(owner: IamV1Alpha1API) -> None:
    source = next(each for each in owner.list_policies_all() if each.name == "Group - Editors")

    copy = owner.clone_policy(policy_id=source.id)

    assert (copy.name, copy.group_id, copy.nb_rules) == (source.name, source.group_id, source.nb_rules)
    assert copy.id != source.id
    owner.delete_policy(policy_id=copy.id)
    assert owner.get_policy(policy_id=source.id) == source
