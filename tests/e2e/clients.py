"""Clients of a served suite."""

from typing import Any

import grpc
from scaleway import Client
from scaleway.iam.v1alpha1 import IamV1Alpha1API

from concord.credentials.v1 import password_pb2, session_service_pb2, session_service_pb2_grpc
from processes import RunningSuite


def iam(suite: RunningSuite, access_key: str, secret_key: str) -> IamV1Alpha1API:
    """Return the vendor's unmodified client, for one key."""
    facts = suite.bootstrap["scaleway"]
    return IamV1Alpha1API(
        Client(
            access_key=access_key,
            secret_key=secret_key,
            api_url=suite.http,
            default_organization_id=facts["organization_id"],
            default_project_id=facts["project_id"],
            default_region="fr-par",
            default_zone="fr-par-1",
        )
    )


def log_in(suite: RunningSuite, name: str, password: str, code: str = "") -> Any:
    """Open a session of a person of the first organization: the vendor's client has no way to."""
    login = password_pb2.Login(organization=suite.bootstrap["organization"]["id"], name=name)
    shown = password_pb2.PasswordCredential(login=login, password=password, code=code)
    with grpc.insecure_channel(suite.grpc("credentials")) as channel:
        return session_service_pb2_grpc.SessionServiceStub(channel).CreateSession(
            session_service_pb2.CreateSessionRequest(password=shown), timeout=30
        )
