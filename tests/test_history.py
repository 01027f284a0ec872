"""A tier's history as values: which releases there were, who is told to have made them, where each runs now."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks.model import ConfigDeploy, EcrImage, History, Live, Release
from deploytasks.report import history as report
from deploytasks.report.plain import plain
from deploytasks.rules.releases import Past, Record, history_of, past_of, returned, told, told_by
from tests.given import HOST, live, target
from tests.reports.situations import expect, fitted_to
from tests.test_report_sheets import as_text

A, B, C = (letter * 40 for letter in "abc")
FIRST, SECOND, THIRD = (f"prod-2026010{day}T000000Z" for day in (1, 2, 3))
NAMES = {service: f"{HOST}/{service}" for service in ("api", "worker")}


def at(day: int, hour: int = 1) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def image(digest: str, *tags: str, children: tuple[str, ...] = (), repository: str = "api") -> EcrImage:
    return EcrImage(repository, f"sha256:{digest}", tags, children)


def running(digest: str, tenant: str = "main", service: str = "api", **changes: Any) -> Live:
    where = target(tenant, service=service)
    return live(runs=f"{NAMES[service]}@sha256:{digest}", target=where, digests=(f"sha256:{digest}",), **changes)


def past(*lives: Live, api: Sequence[EcrImage] = (), worker: Sequence[EcrImage] | None = None) -> Past:
    images = {"api": api} | ({"worker": worker} if worker is not None else {})
    return past_of("prod", images, lives)


def record(release: str, by: str, written_at: datetime | None = None, **kept: str) -> Record:
    return Record(("api",), {"release": release, "by": by, **kept}, written_at)


def places(seen: History) -> Mapping[str, tuple[str, ...]]:
    return {release.tag: release.runs_in for release in seen.releases}


THREE = (image("1", A, FIRST), image("2", B, SECOND), image("3", C, THIRD, "prod"))


def test_releases_are_listed_newest_first_and_those_left_out_are_counted():
    seen = history_of(past(api=THREE), 2, [])
    assert [release.tag for release in seen.releases] == [THIRD, SECOND]
    assert [release.commit for release in seen.releases] == [C, B]
    assert seen.older == 1


def test_tags_that_are_no_release_of_the_tier_are_not_looked_at():
    odd = ("prod", "prod-11", "prod-20269999T000000Z", "prod-eu-20260101T000000Z", "staging-20260101T000000Z", A)
    assert history_of(past(api=[image("1", *odd)]), 20, []).releases == ()


def test_one_release_of_many_services_is_one_row():
    worker = [image("9", C, THIRD, repository="worker")]
    (newest, *_) = history_of(past(api=THREE, worker=worker), 20, []).releases
    assert (newest.tag, dict(newest.digests)) == (THIRD, {"api": "sha256:3", "worker": "sha256:9"})


def test_services_of_another_commit_under_the_same_tag_are_another_row():
    worker = [image("9", A, THIRD, repository="worker")]
    rows = [row for row in history_of(past(api=THREE, worker=worker), 20, []).releases if row.tag == THIRD]
    assert [(row.commit, list(row.digests)) for row in rows] == [(C, ["api"]), (A, ["worker"])]


def test_of_an_image_with_several_commits_the_recorded_one_was_released():
    held = past(api=[image("1", A, B, FIRST)])
    assert history_of(held, 20, []).releases[0].commit == A
    assert history_of(held, 20, [record(FIRST, "ann", commit=B)]).releases[0].commit == B
    assert history_of(held, 20, [record(FIRST, "ann", commit=C)]).releases[0].commit == A


def test_of_an_image_with_several_commits_and_no_record_the_ancestor_of_the_others_was_released():
    held = past(api=[replace(image("1", A, B, FIRST), origin=B)])
    assert history_of(held, 20, []).releases[0].commit == B
    assert history_of(held, 20, [record(FIRST, "ann", commit=A)]).releases[0].commit == A


def test_the_earliest_record_tells_who_released():
    records = [record(SECOND, "late", at(2, 9)), record(SECOND, "ann", at(2, 1)), record(SECOND, "unknown when")]
    assert told(past(api=THREE), records)[SECOND].kept["by"] == "ann"


def test_who_goes_back_to_a_release_is_not_who_released_it():
    assert told(past(api=THREE), [record(FIRST, "bob", at(3, 5))]) == {}


def test_a_newer_release_of_another_service_makes_no_record_late():
    held = past(api=[image("1", A, FIRST)], worker=[image("9", B, SECOND, repository="worker")])
    assert told(held, [record(FIRST, "ann", at(3))])[FIRST].kept["by"] == "ann"


def test_records_of_releases_that_are_not_in_the_registry_are_passed_over():
    assert told(past(api=THREE), [record("prod-20250101T000000Z", "ann", at(1)), Record(("api",), {})]) == {}


def test_a_target_tells_by_its_revision_and_by_its_service_whichever_is_newer():
    kept = {"release": SECOND, "by": "ann", "at": "2026-01-02T01:00:00+00:00"}
    before = {"release": FIRST, "by": "bob"}
    definition = {"containerDefinitions": [], "registeredAt": at(1)}
    held = past(api=THREE)
    records = told_by(live(service_tags=kept, revision_tags=before, definition=definition))
    assert {tag: one.kept["by"] for tag, one in told(held, records).items()} == {SECOND: "ann", FIRST: "bob"}


def test_a_release_runs_where_its_digest_does():
    seen = history_of(past(running("3"), running("1", "mb"), api=THREE), 20, [])
    assert places(seen) == {THIRD: ("prod",), SECOND: (), FIRST: ("mb-prod",)}


def test_a_child_of_an_index_is_the_index():
    index = image("3", C, THIRD, children=("sha256:c1", "sha256:c2"))
    assert places(history_of(past(running("c2"), api=[index]), 20, [])) == {THIRD: ("prod",)}


def test_a_child_that_ecr_lists_by_itself_is_the_index_all_the_same():
    listed = [image("c2"), image("3", C, THIRD, children=("sha256:c1", "sha256:c2")), image("c1")]
    assert places(history_of(past(running("c2"), api=listed), 20, [])) == {THIRD: ("prod",)}


def test_of_a_digest_with_several_releases_the_recorded_one_runs_else_the_newest():
    twice = [image("1", A, FIRST, THIRD), image("2", B, SECOND)]
    first = running("1", revision_tags={"release": FIRST})
    other = running("1", "mb", revision_tags={"release": SECOND})
    seen = history_of(past(first, other, api=twice), 20, [])
    assert places(seen) == {THIRD: ("mb-prod",), SECOND: (), FIRST: ("prod",)}


def test_tasks_that_differ_run_both_releases():
    mixed = live(target=target(), digests=("sha256:1", "sha256:3", "sha256:ff"))
    assert places(history_of(past(mixed, api=THREE), 20, [])) == {THIRD: ("prod",), SECOND: (), FIRST: ("prod",)}


def test_an_environment_that_runs_only_some_of_the_services_is_named_with_them():
    worker = [image("8", B, SECOND, repository="worker"), image("9", C, THIRD, repository="worker")]
    lives = running("3"), running("9", service="worker"), running("3", "mb"), running("8", "mb", "worker")
    seen = history_of(past(*lives, api=THREE, worker=worker), 20, [])
    assert places(seen) == {THIRD: ("prod", "mb-prod/api"), SECOND: ("mb-prod/worker",), FIRST: ()}


def test_an_environment_without_one_of_the_services_is_named_whole():
    worker = [image("9", C, THIRD, repository="worker")]
    assert places(history_of(past(running("3"), api=THREE, worker=worker), 20, []))[THIRD] == ("prod",)


def release(tag: str, day: int, commit: str, **changes: Any) -> Release:
    digests = {"api": f"sha256:{day:064x}", "worker": f"sha256:{day + 16:064x}"}
    return Release(tag, at(day), **{"digests": digests, "commit": commit, **changes})


def config_only(day: int, keys: tuple[str, ...], runs_in: tuple[str, ...], **changes: Any) -> ConfigDeploy:
    secret = {"containerDefinitions": [{"environment": [{"name": "DB_PASSWORD", "value": "hunter22"}]}]}
    made = ConfigDeploy(
        at(day, 5), "api", "", C, f"{A}.0123456789ab", keys, (target(), target("mb")), secret, {}, runs_in=runs_in
    )
    return replace(made, **changes)


def some() -> History:
    one = {"api": f"sha256:{4:064x}"}
    return History(
        "prod",
        ("api", "worker"),
        (
            release("prod-20260105T010000Z", 5, "", digests=one, by="ann@office"),
            release(
                *("prod-20260104T010000Z", 4, f"{C}-dirty-01234567"),
                subject="Take orders of many articles at once, and say which of them failed",
                by="ann",
                ci="https://github.com/acme/shop/actions/runs/1234567890",
                override="the shop is down",
                runs_in=("prod", "mb-prod/api"),
            ),
            release("prod-20260103T010000Z", 3, B, subject="\x1b[31mred\x1b[0m <b>", runs_in=("mb-prod/worker",)),
            release("prod-20260102T010000Z", 2, A, by="bob@home", config=f"{B}.0123456789ab-dirty", rollback=True),
        ),
        older=14,
        config_deploys=(
            config_only(4, ("containerDefinitions.api.environment.LOG_LEVEL", "cpu"), ("prod/api",)),
            config_only(3, ("containerDefinitions.api.dockerLabels.hunter22",), (), ended="rolled back", by="bob"),
            config_only(1, ("cpu",), (), rollback=True),
        ),
        notes=("acme-prod could not be seen: account 1: AssumeRole: AccessDenied: no\n    let it be assumed",),
    )


@pytest.mark.parametrize("width", [140, 80, 40])
def test_the_history_reads_as_expected(width: int):
    expect(f"history.{width}.txt", fitted_to(report.sheet(some()), width))


def test_the_history_as_json_reads_as_expected():
    expect("history.json", as_text(report.as_json(some())))


def test_a_tier_without_releases_says_so():
    text = plain(report.sheet(History("prod", ("api", "worker"), ())))
    assert text == "prod: no release of api, worker yet; inv release.prod makes the first\n"


def test_a_release_takes_its_config_from_the_earliest_record_that_names_one():
    records = [record(THIRD, "ann", at(3)), record(THIRD, "bob", at(3, 2), config="c"), record(THIRD, "eve", at(3, 3))]
    newest = history_of(past(api=THREE), 20, records).releases[0]
    assert (newest.by, newest.config) == ("ann", "c")


@pytest.mark.parametrize(
    ("digests", "expect"),
    [
        ("1", None),
        ("12", None),
        ("11", None),
        ("121", ("2", "1", True)),
        ("1212", ("1", "2", False)),
        ("1231", ("3", "1", True)),
        ("1232", ("3", "2", True)),
        ("12321", ("2", "1", True)),
    ],
)
def test_what_brings_back_an_image_of_an_earlier_release_may_be_a_rollback(digests: str, expect: Any):
    tags = {each: [f"prod-2026010{n}T000000Z" for n, d in enumerate(digests, 1) if d == each] for each in set(digests)}
    known = past(api=[image(digest, *of) for digest, of in sorted(tags.items())])
    newest = history_of(known, 1, []).releases[0]
    found = returned(known, newest)
    assert (found and (found[0].digest[7:], found[1].digest[7:], found[2])) == expect
