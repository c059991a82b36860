"""An organization's second short name, over the contract."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.organization_service_pb2 import (
    CreateOrganizationRequest,
    GetOrganizationRequest,
    SetOrganizationAliasRequest,
)
from concord.identity.v1.user_pb2 import User
from concord.kernel.errors import Reason
from concord.kernel.ids import OrganizationId
from identity.serving import Suite, refusal, serving


class Born:
    """A served organization and its owner."""

    def __init__(self, suite: Suite, organization: Organization) -> None:
        self.suite = suite
        self.organization = organization
        self.owner = suite.user(organization.owner_user_id, OrganizationId(organization.id))

    def call_it(self, alias: str, **fields: Any) -> Any:
        return self.suite.organizations.SetOrganizationAlias(
            SetOrganizationAliasRequest(alias=alias, **fields), **self.owner
        )

    def find(self, **locator: str) -> Any:
        return self.suite.organizations.GetOrganization(GetOrganizationRequest(**locator), **self.owner)


async def bear(suite: Suite, slug: str) -> Any:
    request = CreateOrganizationRequest(
        organization=Organization(name="One", slug=slug), owner=User(primary_email=f"owner@{slug}.example")
    )
    return await suite.organizations.CreateOrganization(request, **suite.signers.system())


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[Suite]:
    async with serving(tmp_path) as served:
        yield served


@pytest_asyncio.fixture
async def acme(suite: Suite) -> Born:
    return Born(suite, await bear(suite, "acme"))


async def test_an_alias_is_given_once_and_finds_its_organization(acme: Born) -> None:
    given = await acme.call_it("fab4", organization_id=acme.organization.id, etag="1")

    assert (given.alias, given.version) == ("fab4", 2)
    assert await acme.find(alias="fab4") == given
    for again in ("fab4", "other"):
        assert (await refusal(acme.call_it(again))).reason is Reason.INVALID_STATE
    assert (await acme.find()).alias == "fab4"


@pytest.mark.parametrize("alias", ["", "a", "x" * 33, "Acme", "ac-me", "12345", "äb"])
async def test_an_alias_of_another_form_is_refused_by_name(acme: Born, alias: str) -> None:
    refused = await refusal(acme.call_it(alias))

    assert refused.reason is Reason.INVALID_FIELDS
    assert [each.field for each in refused.violations] == ["alias"]  # type: ignore[attr-defined]  # of this reason


async def test_an_alias_is_nobody_elses_alias_nor_slug(acme: Born) -> None:
    other = Born(acme.suite, await bear(acme.suite, "bravo"))
    await acme.call_it("fab4")

    for taken in ("fab4", "acme"):
        assert (await refusal(other.call_it(taken))).reason is Reason.RESOURCE_ALREADY_EXISTS
    assert (await other.find()).alias == ""
    assert (await other.call_it("bravo")).alias == "bravo"


async def test_nobody_is_born_with_a_slug_that_is_an_alias(acme: Born) -> None:
    await acme.call_it("fab4")

    assert (await refusal(bear(acme.suite, "fab4"))).reason is Reason.RESOURCE_ALREADY_EXISTS


async def test_another_organization_gets_no_alias_and_an_old_etag_none_either(acme: Born) -> None:
    other = await bear(acme.suite, "bravo")

    unknown = await refusal(acme.call_it("fab4", organization_id=other.id))
    stale = await refusal(acme.call_it("fab4", etag="7"))

    assert (unknown.reason, stale.reason) == (Reason.RESOURCE_NOT_FOUND, Reason.ETAG_MISMATCH)
    assert (await acme.find()).alias == ""
    tried = await acme.call_it("fab4", validate_only=True)
    assert (tried.alias, (await acme.find()).alias) == ("fab4", "")
