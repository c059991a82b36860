"""Clients of a served suite."""

from scaleway import Client
from scaleway.iam.v1alpha1 import IamV1Alpha1API

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
