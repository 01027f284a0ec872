"""Which deploys changed only config: told by what a target's revisions and its service record. As values."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks.commands.config_deploys import config_deploys
from deploytasks.commands.revisions import Trail
from deploytasks.model import ConfigDeploy, Revision
from tests.given import deployment, live, target

ONE, TWO = "prod-20260101T000000Z", "prod-20260102T000000Z"
FAMILY = "arn:aws:ecs:us-east-1:111111111111:task-definition/shop-prod-api"
NGINX = {"digest.nginx": "8"}
MARKS = {"key": "deploytasks:tags", "value": "-"}


def revision(number: int, cpu: str, release: str = ONE, digest: str = "1", **changes: Any) -> Revision:
    kept = {"project": "shop", "version": "1", "release": release, "digest": digest, "config": cpu, "by": "ann"}
    kept |= {"at": f"2026-01-0{number}T12:00:00Z"} | changes.pop("record", {})
    tags = [MARKS, *changes.pop("tags", [])]
    made = {"containerDefinitions": [{"name": "api", "image": f"r@{digest}"}], "cpu": cpu, "tags": tags}
    return Revision(f"{FAMILY}:{number}", {k: v for k, v in kept.items() if v}, None, made | changes)


def found(*revisions: Revision, oldest: int = 0, **how: Any) -> tuple[ConfigDeploy, ...]:
    return config_deploys("shop", [trail(*revisions, **how)], day(oldest) if oldest else None)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def trail(*revisions: Revision, tenant: str = "main", runs: int = -1, **service: str) -> Trail:
    """The target runs the last revision, or the one at that place."""
    running, primary = revisions[runs], deployment(revision=revisions[runs].arn)
    known = live(primary, target=target(tenant), definition=running.definition, revision_tags=running.record)
    made = Trail(None, replace(known, service_tags=service))  # type: ignore[arg-type]  # it reads nothing
    made.read = [one for one in reversed(revisions) if one is not running]
    return made


@pytest.mark.parametrize(
    ("revisions", "configs"),
    [
        ([revision(1, "256")], []),
        ([revision(1, "256"), revision(2, "512")], ["512"]),
        ([revision(1, "256"), revision(2, "512"), revision(3, "256")], ["256", "512"]),
        ([revision(1, "256"), revision(2, "512", TWO, "2")], []),
        ([revision(1, "256"), revision(2, "512", TWO, "2"), revision(3, "1024", TWO, "2")], ["1024"]),
        ([revision(1, "256"), revision(2, "512", record={"at": ""}), revision(3, "1024")], ["1024"]),
        ([revision(1, "256"), revision(2, "512", record={"project": "bill"})], []),
        ([revision(1, "256"), revision(2, "256", tags=[{"key": "robot", "value": "x"}])], []),
        ([revision(1, "256", digest=""), revision(2, "256", digest="")], []),
        ([revision(1, "256", record=NGINX), revision(2, "512", record=NGINX)], ["512"]),
        ([revision(1, "256", record=NGINX), revision(2, "512", record={"digest.nginx": "9"})], []),
    ],
    ids=range(11),
)
def test_a_begun_revision_with_another_definition_of_the_same_release_is_one(
    revisions: list[Revision], configs: list[str]
):
    assert [row.config for row in found(*revisions)] == configs


def test_it_tells_the_keys_and_where_it_runs():
    (row,) = found(revision(1, "256"), revision(2, "512"))
    assert (row.keys, row.at, row.by, row.runs_in) == (("cpu",), day(2).replace(hour=12), "ann", ("prod/api",))


def test_none_is_older_than_the_releases_shown():
    three = (revision(1, "256"), revision(2, "512"), revision(3, "1024"))
    assert [row.config for row in found(*three, oldest=3)] == ["1024"]


def test_where_the_service_recorded_the_release_the_first_revision_after_it_is_one():
    """A release brought by a forced deployment, or gone back to, registered no revision."""
    service = {"project": "shop", "release": TWO, "digest": "1", "at": "2026-01-02T12:00:00Z"}
    three = (revision(1, "256"), revision(3, "512", TWO))
    assert [row.config for row in found(*three, **service)] == ["512"]
    later = service | {"at": "2026-01-04T12:00:00Z"}
    assert [row.rollback for row in found(*three, **later)] == []


def test_going_back_to_earlier_config_is_a_rollback():
    service = {"project": "shop", "release": ONE, "digest": "1", "config": "256", "at": "2026-01-03T12:00:00Z"}
    back, change = found(revision(1, "256"), revision(2, "512"), runs=0, **service)
    assert (back.rollback, back.keys, back.config, back.runs_in) == (True, ("cpu",), "256", ("prod/api",))
    assert (change.rollback, change.config, change.runs_in) == (False, "512", ())


def test_what_was_restored_after_it_failed_is_no_rollback():
    service = {"project": "shop", "release": ONE, "digest": "1", "at": "2026-01-03T12:00:00Z"}
    (row,) = found(revision(1, "256"), revision(2, "512", record={"ended": "failed"}), runs=0, **service)
    assert (row.rollback, row.ended) == (False, "failed")


@pytest.mark.parametrize(
    ("recorded", "rollbacks"), [("", []), ("2026-01-02T12:00:00Z", []), ("2026-01-09T12:00:00Z", [True])]
)
def test_a_revision_that_another_tool_registered_is_a_rollback_only_where_we_went_back_to_it(
    recorded: str, rollbacks: list[bool]
):
    service = {"project": "shop", "release": ONE, "digest": "1", "at": recorded} if recorded else {}
    by_hand = replace(revision(3, "512"), record={}, registered_at=day(3))
    by_hand = replace(by_hand, definition={**by_hand.definition, "registeredAt": day(3)})
    assert [row.rollback for row in found(revision(1, "256"), by_hand, **service)] == rollbacks


def test_the_same_change_of_two_targets_is_one_row_and_doing_it_twice_is_two():
    again = [revision(1, "256"), revision(2, "512"), revision(3, "256"), revision(4, "512")]
    rows = config_deploys("shop", [trail(*again), trail(*again[:2], tenant="mb")], None)
    assert [(row.config, len(row.targets)) for row in rows] == [("512", 1), ("256", 1), ("512", 2)]
