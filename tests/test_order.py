"""Services of one environment roll out in the order of their `after`: whole commands against the simulated AWS."""

import pytest

from tests.commands import Shop

pytestmark = pytest.mark.waits


def test_services_of_one_image_are_released_together(shop: Shop):
    shop.add_running_service("worker")
    ran = shop.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 4}), ran.stderr
    assert shop.writes() == {"UpdateService": 4, "RegisterTaskDefinition": 4, "TagResource": 4}
