"""What deserves a second look, and what does not: each mark in the situation that it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks.errors import Complaint
from deploytasks.model import Cell, EcrImage, Live
from deploytasks.rules.board import Evidences, board, titled
from deploytasks.rules.image_index import index_images
from tests.given import (
    HOST,
    NEW,
    NEW_DIGEST,
    OLD,
    OLD_DIGEST,
    definition,
    deployment,
    image,
    live,
    of_own_image,
    target,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RELEASED = "prod-20261120T100000Z"
OURS = {"project": "shop", "commit": OLD, "release": RELEASED, "by": "ann"}
LISTING = (image(OLD, "prod", RELEASED), image(NEW, "dev"))


def seen(**changes: Any) -> Live:
    """A target that runs the older image, as the tier's tag wants it."""
    return of_own_image(live(digests=(OLD_DIGEST,), revision_tags=OURS), **changes)


def cells(*lives: Live, listing: tuple[EcrImage, ...] = LISTING, **known: Any) -> tuple[Cell, ...]:
    indexes = {"api": index_images(listing)}
    return board(["dev", "staging", "prod"], lives, Evidences("shop", indexes, **known), NOW).cells


def test_a_target_that_runs_what_its_tier_names_deserves_no_second_look():
    (cell,) = cells(seen())
    assert (cell.marks, cell.standing, cell.as_wanted) == ((), "completed", True)
    assert (cell.commit, cell.release, cell.by, cell.evidence) == (OLD, RELEASED, "ann", "seen")
    assert cell.certified_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


MARKS = {
    "another image than the tier's tag names": (seen(digests=(NEW_DIGEST,)), ("behind",)),
    "a digest that is not in ECR": (seen(digests=("sha256:" + "9" * 64,)), ("behind", "foreign")),
    "a revision that no release of ours registered": (seen(revision_tags={}), ("foreign",)),
    "a revision of another project": (seen(revision_tags={**OURS, "project": "other"}), ("foreign",)),
    "fewer tasks than desired": (seen(running=1), ("short",)),
    "tasks of two digests": (seen(digests=(NEW_DIGEST, OLD_DIGEST)), ("behind", "mixed")),
    "a rollout under way": (seen(deployments=(deployment("IN_PROGRESS"),)), ("rolling",)),
    "a failed rollout": (seen(deployments=(deployment("FAILED"),), failure="it died"), ("failed",)),
    "one that was rolled back to what is not wanted": (
        seen(failure="it died", digests=(NEW_DIGEST,)),
        ("failed", "behind"),
    ),
    "one that was rolled back to what is wanted": (seen(failure="it died"), ()),
    "zero desired": (seen(running=0, desired=0, digests=()), ()),
}


@pytest.mark.parametrize("situation", MARKS)
def test_marks(situation: str):
    given, expected = MARKS[situation]
    assert cells(given)[0].marks == expected


STRANGERS = {
    "a digest that is not in ECR": (seen(digests=("sha256:" + "9" * 64,)), ("image",)),
    "a revision of nobody's": (seen(revision_tags={}), ("revision",)),
    "neither": (seen(digests=("sha256:" + "9" * 64,), revision_tags={}), ("image", "revision")),
    "ours": (seen(), ()),
}


@pytest.mark.parametrize("situation", STRANGERS)
def test_a_foreign_target_says_what_is_foreign_about_it(situation: str):
    given, expected = STRANGERS[situation]
    assert cells(given)[0].foreign == expected


def beside(tenant: str, digest: str) -> Live:
    """A target of the tenant whose sidecar runs that digest of the image `nginx`."""
    uris = {"api": f"{HOST}/api", "nginx": f"{HOST}/nginx"}
    named = definition(f"{uris['api']}@{OLD_DIGEST}")
    sidecar = {"name": "proxy", "image": f"{uris['nginx']}@{digest}"}
    both = {**named, "containerDefinitions": [*named["containerDefinitions"], sidecar]}
    return seen(target=target(tenant, images=uris), definition=both)


def test_a_further_image_is_judged_as_the_targets_own_is():
    stranger = "sha256:" + "9" * 64
    indexes = {"api": index_images(LISTING), "nginx": index_images((image(OLD), image(NEW)))}
    lives = [beside("main", OLD_DIGEST), beside("mb", stranger)]
    found = board(["prod"], lives, Evidences("shop", indexes), NOW).cells
    assert [(cell.marks, cell.foreign) for cell in found] == [(("mixed",), ()), (("mixed", "foreign"), ("image",))]


def test_a_drifted_target_is_told():
    assert cells(seen(), drifted={target()})[0].marks == ("drifted",)
    assert cells(seen(failure="it died"), drifted={target()})[0].marks == ("failed", "drifted")


def test_tenants_of_one_tier_that_run_different_images_are_mixed_and_those_of_another_tier_are_not():
    other = seen(target=target("mb"), digests=(NEW_DIGEST,))
    dev = seen(target=target(tier="dev"), digests=(NEW_DIGEST,))
    assert [cell.marks for cell in cells(seen(), other, dev)] == [("mixed",), ("behind", "mixed"), ()]


def test_tasks_of_one_service_that_differ_are_named_by_what_ecr_calls_them():
    stranger = "sha256:" + "9" * 64
    (cell,) = cells(seen(digests=(NEW_DIGEST, OLD_DIGEST, stranger)))
    assert cell.runs == (NEW, OLD, stranger)


def test_the_children_of_one_index_are_one_image():
    arm, intel = "sha256:" + "a" * 64, "sha256:" + "c" * 64
    index = EcrImage("api", OLD_DIGEST, (OLD, "prod", RELEASED), (arm, intel))
    untagged = (EcrImage("api", arm), EcrImage("api", intel))
    found = cells(seen(digests=(arm,)), seen(target=target("mb"), digests=(intel,)), listing=(index, *untagged))
    assert [(cell.marks, cell.commit, cell.runs) for cell in found] == [((), OLD, (OLD,)), ((), OLD, (OLD,))]


def test_an_untagged_image_is_in_ecr_and_no_stranger():
    (cell,) = cells(seen(), listing=(EcrImage("api", OLD_DIGEST),))
    assert (cell.marks, cell.commit) == ((), OLD)


def test_without_the_registry_nothing_is_called_behind_or_foreign():
    indexes = {"api": replace(index_images(()), known=False)}
    (cell,) = board(["prod"], [seen(digests=(NEW_DIGEST,))], Evidences("shop", indexes), NOW).cells
    assert cell.marks == ()


def test_without_the_registry_a_child_is_not_held_against_its_index():
    indexes = {"api": replace(index_images(()), known=False)}
    child, other = seen(digests=("sha256:" + "a" * 64,)), seen(target=target("zoo"), digests=("sha256:" + "c" * 64,))
    index = seen(target=target("mb"), digests=(), definition=definition(f"{HOST}/api@{OLD_DIGEST}"))
    alike = board(["prod"], [child, index], Evidences("shop", indexes), NOW).cells
    mixed = board(["prod"], [child, index, other], Evidences("shop", indexes), NOW).cells
    assert [cell.marks for cell in alike] == [(), ()]
    assert [cell.marks for cell in mixed] == [("mixed",), ("mixed",), ("mixed",)]


def test_who_released_is_told_only_of_the_commit_that_runs():
    (cell,) = cells(seen(digests=(NEW_DIGEST,)))
    assert (cell.commit, cell.by) == (NEW, "")


def test_a_service_that_is_not_there_is_missing_and_one_that_cannot_be_seen_says_why():
    missing, unseen = cells(Live(target()), Live(target("mb"), complaint=Complaint("mb", "no")))
    assert (missing.standing, unseen.standing) == ("missing", "unseen")
    assert not missing.as_wanted and not unseen.as_wanted
    assert unseen.complaint == Complaint("mb", "no")


def test_where_no_task_tells_its_digest_the_definition_or_the_record_does():
    pinned = seen(digests=(), definition=definition(f"{HOST}/api@{OLD_DIGEST}"))
    tagged = seen(digests=(), definition=definition(f"{HOST}/api:prod"), revision_tags={**OURS, "digest": OLD_DIGEST})
    assert [cell.evidence for cell in cells(pinned, tagged)] == ["defined", "recorded"]


def test_commits_get_their_subjects_where_git_knows_them():
    indexes = {"api": index_images(LISTING)}
    seen_board = board(["prod"], [seen()], Evidences("shop", indexes), NOW + timedelta(0))
    assert titled(seen_board, {OLD: "Begin"}).cells[0].subject == "Begin"
    assert titled(seen_board, {}).cells[0].subject == ""
