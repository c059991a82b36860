"""What a rotation ends is refused at the very next call, cached or not; what its overlap keeps goes on."""

import pytest

from concord.credentials.v1 import api_key_service_pb2
from concord.identity.v1 import user_service_pb2

from .conftest import Attacked, bearer, code_of

ASK = user_service_pb2.ListUsersRequest(page_size=1)


@pytest.mark.parametrize(("overlap", "expected"), [(0, "UNAUTHENTICATED"), (600, "OK")])
def test_a_secret_ends_with_its_rotation_unless_there_is_an_overlap(
    attacked: Attacked, overlap: int, expected: str
) -> None:
    user = attacked.member()
    attacked.grant(user, attacked.statement(permissions=["identity.users.list"]))
    made = attacked.key(user)
    assert code_of(attacked.users.ListUsers, ASK, bearer(made.secret)) == "OK"
    request = api_key_service_pb2.RotateApiKeyRequest(id=made.api_key.id)
    request.overlap.FromSeconds(overlap)

    rotated = attacked.keys.RotateApiKey(request, metadata=attacked.owner)

    assert code_of(attacked.users.ListUsers, ASK, bearer(made.secret)) == expected
    assert code_of(attacked.users.ListUsers, ASK, bearer(rotated.secret)) == "OK"
