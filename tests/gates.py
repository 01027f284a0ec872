"""A shop whose newer image was never released to prod, and what its tenants run by hand."""

import pytest

from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Shop
from tests.given import HOST


def repository(shop: Shop) -> dict[str, str]:
    tags: dict[str, str] = shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags
    return tags


@pytest.fixture
def untried(shop: Shop) -> Shop:
    """The newer image runs in dev and staging, and was never released to prod."""
    repository(shop).pop("prod-20260203T040506Z")
    repository(shop)["prod"] = repository(shop)[shop.commits["older"]]
    return shop


def runs_older(shop: Shop, number: int, tier: str) -> None:
    """A tenant's tier is back on the older image, by hand."""
    account = shop.endpoint.cloud.account(tenant_account(number))
    family = account.families[f"shop-t{number}-{tier}-api"]
    name = f"{HOST.replace('000000000000', REGISTRY)}/api@{repository(shop)[shop.commits['older']]}"
    family[-1].members["containerDefinitions"][0]["image"] = name
