"""Given what is wished and what was observed, what is done: one row a situation."""

from datetime import UTC, datetime

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st
from msgspec.structs import replace

from deploytasks.model import DesiredImage, Live
from deploytasks.rules import observed, plan
from deploytasks.rules.plan import Candidate
from tests.given import (
    HOST,
    NEW,
    NEW_DIGEST,
    OLD,
    OLD_DIGEST,
    definition,
    deployment,
    desired,
    image,
    live,
    target,
    tier,
)

PINNED_NEW, TAGGED = f"{HOST}/api@{NEW_DIGEST}", f"{HOST}/api:dev"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
MINTED_NOW = "prod-20261123T120000Z"


def candidate(
    seen: Live, wished: DesiredImage | None = None, name: str = PINNED_NEW, *, same: bool = False
) -> Candidate:
    return Candidate(
        seen.target, wished or desired(), {"api": name}, seen, same, definition(name), create={"serviceName": "api"}
    )


ROLLING, FAILED = deployment("IN_PROGRESS"), deployment("FAILED")
RECORDED = {"digest": NEW_DIGEST, "commit": NEW, "at": "2026-11-23T11:00:00Z"}

SITUATIONS = {
    "no service yet": (Live(target()), PINNED_NEW, False, "create"),
    "another definition": (live(), PINNED_NEW, False, "update"),
    "another definition, while something rolls": (live(ROLLING), PINNED_NEW, False, "update"),
    "the same, completed": (live(runs=PINNED_NEW), PINNED_NEW, True, "nothing"),
    "the same, under way": (live(ROLLING, runs=PINNED_NEW), PINNED_NEW, True, "follow"),
    "the same, failed": (live(FAILED, runs=PINNED_NEW), PINNED_NEW, True, "force"),
    "the tag moved": (live(runs=TAGGED, digests=(OLD_DIGEST,)), TAGGED, True, "force"),
    "the tag did not move": (live(runs=TAGGED, digests=(NEW_DIGEST,)), TAGGED, True, "nothing"),
    "the tag moved, half the tasks follow": (
        live(runs=TAGGED, digests=(OLD_DIGEST, NEW_DIGEST)),
        TAGGED,
        True,
        "force",
    ),
    "nobody knows what the tag gave": (live(runs=TAGGED), TAGGED, True, "force"),
    "no digests, but a record of it": (live(runs=TAGGED, service_tags=RECORDED), TAGGED, True, "nothing"),
    "the moved tag was rolled back, and only the record of that rollout tells": (
        live(runs=TAGGED, service_tags=RECORDED, failure="tasks failed to start"),
        TAGGED,
        True,
        "force",
    ),
    "the moved tag rolls already": (
        live(ROLLING, runs=TAGGED, digests=(OLD_DIGEST,), service_tags=RECORDED),
        TAGGED,
        True,
        "follow",
    ),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_situation_decides_the_action(situation: str):
    seen, name, same, expected = SITUATIONS[situation]
    assert plan.rollout(candidate(seen, name=name, same=same), force=False).action == expected


def test_force_rolls_out_anew_what_runs_already():
    done = candidate(live(runs=PINNED_NEW), same=True)
    assert plan.rollout(done, force=True).action == "force"


def test_a_child_of_the_desired_index_is_the_desired_image():
    index = desired(image=image(NEW, children=("sha256:" + "3" * 64,)))
    seen = live(runs=TAGGED, digests=("sha256:" + "3" * 64,))
    assert plan.rollout(candidate(seen, index, TAGGED, same=True), force=False).action == "nothing"


def test_only_what_registers_carries_a_request():
    assert plan.rollout(candidate(live(runs=PINNED_NEW), same=True), force=False).request is None
    assert plan.rollout(candidate(live()), force=False).request == definition(PINNED_NEW)


@generated(
    st.sampled_from(["COMPLETED", "IN_PROGRESS", "FAILED"]),
    st.sampled_from([PINNED_NEW, TAGGED]),
    st.booleans(),
    st.sampled_from([(), (OLD_DIGEST,), (NEW_DIGEST,), (OLD_DIGEST, NEW_DIGEST)]),
)
def test_planning_on_the_result_of_a_plan_is_empty(state, name, same, digests):
    seen = live(deployment(state), runs=name if same else f"{HOST}/api@{OLD_DIGEST}", digests=digests)
    rollout = plan.rollout(candidate(seen, name=name, same=same), force=False)
    if rollout.action in ("nothing", "follow"):
        after = replace(seen, deployments=(deployment(),))
        after = replace(after, digests={"api": (NEW_DIGEST,)}) if rollout.action == "follow" else after
    else:
        after = replace(seen, deployments=(deployment(),), definition=definition(name), digests={"api": (NEW_DIGEST,)})
    assert plan.rollout(candidate(after, name=name, same=True), force=False).action == "nothing"


def test_waves_go_in_order_and_keep_file_order_inside():
    targets = [target("c", wave=2), target("a", wave=1), target("b", wave=2), target("d", wave=1)]
    rollouts = [plan.rollout(candidate(Live(each)), force=False) for each in targets]
    names = [[rollout.target.environment.tenant for rollout in wave] for wave in plan.waves(rollouts)]
    assert names == [["a", "d"], ["c", "b"]]


def steps(*desired_images: DesiredImage, **present):
    return plan.tag_steps(tier(), desired_images, present, NOW)


def test_a_first_release_mints_the_record_and_moves_the_tier():
    (step,) = steps(desired())
    assert (step.release, step.mint, step.move, step.before) == (MINTED_NOW, True, True, None)


def test_a_tier_that_is_there_already_is_left_alone():
    there = image(NEW, "prod", "prod-20260101T000000Z")
    (step,) = steps(desired(image=there), api=there)
    assert (step.release, step.mint, step.move) == ("prod-20260101T000000Z", False, False)


def test_a_release_that_died_between_the_two_tags_is_taken_up_again():
    minted = image(NEW, "prod-20261101T000000Z")
    (step,) = steps(desired(image=minted), api=image(OLD, "prod", "prod-20261001T000000Z"))
    assert (step.release, step.mint, step.move) == ("prod-20261101T000000Z", False, True)


def test_coming_back_to_an_older_release_mints_a_new_record():
    older = image(NEW, "prod-20261001T000000Z")
    (step,) = steps(desired(image=older), api=image(OLD, "prod", "prod-20261101T000000Z"))
    assert (step.release, step.mint, step.move) == (MINTED_NOW, True, True)


def test_one_release_shares_one_tag_over_all_its_services():
    worker = desired(name="worker", repository="worker")
    assert {step.release for step in steps(desired(), worker)} == {MINTED_NOW}


def test_a_release_that_died_between_two_services_keeps_its_tag():
    done = image(NEW, "prod", "prod-20261101T000000Z")
    worker = desired(name="worker", repository="worker")
    before = image(OLD, "prod", "prod-20261001T000000Z")
    api, other = steps(desired(image=done), worker, api=done, worker=before)
    assert api.move is False
    assert (other.release, other.mint, other.move) == ("prod-20261101T000000Z", True, True)


def test_a_tier_tag_moved_by_hand_gets_its_record():
    there = image(NEW, "prod")
    (step,) = steps(desired(image=there), api=there)
    assert (step.mint, step.move) == (True, False)


@generated(st.lists(st.sampled_from([OLD, NEW]), max_size=6))
def test_taking_the_same_tag_step_twice_changes_nothing(history: list[str]):
    held: dict[str, set[str]] = {OLD: {OLD}, NEW: {NEW}}
    for commit in [*history, NEW, NEW]:
        at = next((image(each, *tags) for each, tags in held.items() if "prod" in tags), None)
        (step,) = steps(desired(commit, image=image(commit, *held[commit])), **({"api": at} if at else {}))
        last = (step.mint, step.move)
        held[commit] |= {step.release}
        held = {each: tags - {"prod"} | ({"prod"} if each == commit else set()) for each, tags in held.items()}
    assert last == (False, False)


def test_the_newer_record_speaks():
    registered = definition(TAGGED) | {"registeredAt": datetime(2026, 11, 23, 10, 0, tzinfo=UTC)}
    seen = live(revision_tags={"commit": OLD}, service_tags=RECORDED)
    assert observed.record(replace(seen, definition=registered))["commit"] == NEW
    later = registered | {"registeredAt": datetime(2026, 11, 23, 11, 30, tzinfo=UTC)}
    assert observed.record(replace(seen, definition=later))["commit"] == OLD


@pytest.mark.parametrize(
    ("record", "begun", "at"),
    [
        ({"version": "0.1.0", "at": "2026-11-23T11:00:00Z"}, True, datetime(2026, 11, 23, 11, 0, tzinfo=UTC)),
        ({"version": "0.1.0"}, False, None),
        ({"version": "0.1.0", "project": "shop", "release": "prod-20261123T110000Z"}, False, None),
        ({"project": "shop"}, True, datetime(2026, 11, 23, 10, 0, tzinfo=UTC)),
        ({}, True, datetime(2026, 11, 23, 10, 0, tzinfo=UTC)),
        ({"version": "0.1.0", "at": "by hand"}, True, None),
    ],
)
def test_a_revision_has_begun_once_at_says_so_and_registering_it_is_no_beginning(record, begun, at):
    registered_at = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    assert (observed.has_begun(record), observed.begun_at(record, registered_at)) == (begun, at)


def test_a_revision_that_was_registered_early_speaks_from_when_it_began():
    registered = definition(TAGGED) | {"registeredAt": datetime(2026, 11, 23, 10, 0, tzinfo=UTC)}
    begun = {"commit": OLD, "version": "0.1.0", "at": "2026-11-23T11:30:00Z"}
    seen = live(definition=registered, service_tags=RECORDED, revision_tags=begun)
    assert observed.record(seen)["commit"] == OLD
    assert observed.recorded_at(seen) == datetime(2026, 11, 23, 11, 30, tzinfo=UTC)


def test_a_record_of_what_has_not_begun_does_not_speak():
    """It was written, and then the process died."""
    seen = live(revision_tags={"commit": OLD}, service_tags={**RECORDED, "after": "ecs-svc/1"})
    assert observed.record(seen)["commit"] == OLD
    assert observed.record(replace(seen, deployments=(deployment(id="ecs-svc/2"),)))["commit"] == NEW
