"""The split of a tier among runners, whatever its files say, and how a target stands that another runner moves."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from deploytasks.aws.tags import stamp
from deploytasks.errors import Complaint
from deploytasks.model import Live, Rollout, Target
from deploytasks.rules.shards import split, stand
from tests.given import HOST, NEW_DIGEST, OLD_DIGEST, definition, deployment, desired, live, target

IMAGE = f"{HOST}/api"
SINCE = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEFORE, AFTER = SINCE - timedelta(hours=1), SINCE + timedelta(minutes=1)


@st.composite
def tiers(draw: st.DrawFn) -> list[Target]:
    """A tier of some tenants, each with some services, each of these in a wave."""
    sizes = draw(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), min_size=1, max_size=40))
    return [
        target(f"t{tenant}", service=f"s{number}", wave=wave)
        for tenant, waves in enumerate(sizes)
        for number, wave in enumerate(waves)
    ]


@given(tiers(), st.integers(1, 12))
def test_every_target_is_in_exactly_one_shard(targets, of):
    parts = split(targets, of)
    assert len(parts) == of
    assert sorted(map(str, [each for part in parts for each in part])) == sorted(map(str, targets))


@given(tiers(), st.integers(1, 12))
def test_an_environment_is_never_divided(targets, of):
    homes = [{each.environment for each in part} for part in split(targets, of)]
    assert sum(map(len, homes)) == len({each.environment for each in targets})


@given(tiers(), st.integers(1, 12))
def test_the_same_files_give_the_same_split_in_file_order(targets, of):
    parts = split(targets, of)
    assert parts == split(iter(targets), of)
    assert all(list(part) == [each for each in targets if each in part] for part in parts)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=60), st.integers(1, 12))
def test_environments_of_one_size_are_spread_to_the_last_one_in_each_wave_and_in_all(waves, of):
    targets = [target(f"t{number}", wave=wave) for number, wave in enumerate(waves)]
    parts = split(targets, of)
    for wanted in [{wave} for wave in waves] + [{1, 2, 3, 4}]:
        sizes = [sum(each.wave in wanted for each in part) for part in parts]
        assert max(sizes) - min(sizes) <= 1


@example([(1, 5), (2, 1), (2, 1), (2, 1), (2, 1)], 2)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5)), min_size=1, max_size=40), st.integers(1, 8))
def test_no_shard_has_more_of_a_wave_than_another_by_more_than_one_environment(sizes, of):
    targets = [
        target(f"t{tenant}", service=f"s{number}", wave=wave)
        for tenant, (wave, services) in enumerate(sizes)
        for number in range(services)
    ]
    for wave in {wave for wave, _ in sizes}:
        counts = [sum(each.wave == wave for each in part) for part in split(targets, of)]
        assert max(counts) - min(counts) <= max(services for at, services in sizes if at == wave)


def test_large_environments_are_placed_first_so_that_small_ones_fill_the_gaps():
    services = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 4}
    targets = [target(name, service=f"s{n}") for name, count in services.items() for n in range(count)]
    assert [len(part) for part in split(targets, 2)] == [4, 4]


@given(tiers(), st.integers(1, 12))
def test_no_shard_is_empty_while_there_are_environments_enough(targets, of):
    environments = len({each.environment for each in targets})
    assert sum(bool(part) for part in split(targets, of)) == min(of, environments)


def seen(action: str = "update", *, of: Live | None = None) -> Rollout:
    rollout = Rollout(target(), "update", "", desired(), f"{IMAGE}@{NEW_DIGEST}", live=of)
    return replace(rollout, action=action)


def at(when: datetime, digest: str, *, registered: datetime | None = None, state: str = "COMPLETED", **changes) -> Live:
    """A target whose last rollout began then, and whose definition pins that digest."""
    known = {**definition(f"{IMAGE}@{digest}"), "registeredAt": registered or when}
    return live(deployment(state, created_at=when), definition=known, **changes)


def begun(when: datetime) -> dict[str, str]:
    """The record of a revision whose rollout began then."""
    return {"version": "0.1.0", "at": stamp(when)}


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        (seen("nothing", of=at(BEFORE, NEW_DIGEST)), ("arrived", "")),
        (seen("nothing", of=at(AFTER, NEW_DIGEST)), ("arrived", "")),
        (seen("update", of=at(AFTER, NEW_DIGEST)), ("arrived", "")),
        (seen("update", of=at(BEFORE, OLD_DIGEST)), ("coming", f"it still runs {OLD_DIGEST[:19]}")),
        (seen("update", of=at(BEFORE, NEW_DIGEST)), ("coming", f"it still runs {NEW_DIGEST[:19]}")),
        (
            seen("follow", of=at(AFTER, NEW_DIGEST, state="IN_PROGRESS")),
            ("coming", "its rollout is under way, 2/2 running"),
        ),
        (seen("update", of=at(AFTER, OLD_DIGEST)), ("lost", f"it was restored to {OLD_DIGEST[:19]}")),
        (
            seen("update", of=at(AFTER, NEW_DIGEST, registered=BEFORE)),
            ("lost", f"it was restored to {NEW_DIGEST[:19]}"),
        ),
        (
            seen("update", of=at(AFTER, NEW_DIGEST, registered=BEFORE, revision_tags=begun(AFTER))),
            ("arrived", ""),
        ),
        (
            seen("update", of=at(AFTER, NEW_DIGEST, registered=BEFORE, revision_tags=begun(BEFORE))),
            ("lost", f"it was restored to {NEW_DIGEST[:19]}"),
        ),
        (seen("update", of=at(BEFORE, OLD_DIGEST, failure="tasks failed to start")), ("lost", "tasks failed to start")),
        (seen("create", of=Live(target())), ("coming", "it is not there")),
        (
            seen("create", of=Live(target(), complaint=Complaint("mb-prod/api", "access denied"))),
            ("coming", "it cannot be seen: access denied"),
        ),
    ],
)
def test_how_a_target_stands(rollout, expected):
    assert stand(rollout, SINCE) == expected


def test_a_failure_that_was_known_before_is_not_this_runs():
    broken = at(BEFORE, OLD_DIGEST, failure="tasks failed to start")
    assert stand(seen(of=broken), SINCE, "tasks failed to start")[0] == "coming"
    assert stand(seen(of=broken), SINCE, "another reason")[0] == "lost"


def test_a_deployment_of_this_run_that_failed_is_lost_even_where_the_failure_before_read_the_same():
    ours = deployment("FAILED", "ACTIVE", created_at=AFTER, reason="tasks failed to start")
    broken = replace(at(BEFORE, OLD_DIGEST), deployments=(deployment(created_at=BEFORE), ours))
    known = replace(broken, failure="tasks failed to start")
    assert stand(seen(of=known), SINCE, "tasks failed to start") == ("lost", "tasks failed to start")


def test_a_first_deployment_is_born_completed_and_has_not_arrived_before_its_tasks_run():
    born = replace(at(AFTER, NEW_DIGEST), deployments=(deployment(created_at=AFTER, running=0),))
    assert stand(seen("nothing", of=born), SINCE) == ("coming", "its rollout is under way, 0/2 running")
