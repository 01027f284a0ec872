"""What is shown once, board, images, settings, lock, compared as a whole."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from msgspec.structs import replace

from deploytasks.errors import Complaint
from deploytasks.model import Board, Cell, EcrImage, JobSettings, LockState, Origin, RepositoryImages, TierLock
from deploytasks.model.marks import WORDS
from deploytasks.report import board, images, locks, settings
from deploytasks.report.plain import plain
from deploytasks.report.sheet import BLANK, Column, Span, Table, entry, line
from deploytasks.report.streams import show, show_exact_json, show_json
from tests.reports.situations import DIGEST, NEW, OLD, RELEASE, expect, fitted_to, target

_SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def as_text(document: object) -> str:
    stdout = StringIO()
    show_json(document, stdout)
    return stdout.getvalue()


def cell(tenant: str, tier: str, service: str = "api", **changes: Any) -> Cell:
    ordinary = Cell(
        target=target(tenant, service, tier=tier),
        standing="completed",
        commit=NEW,
        subject="Take orders of many articles at once, and say which of them failed",
        release=f"{tier}-20260102T030400Z",
        certified_at=_SINCE,
        by="ann@office",
        digests=(DIGEST,),
        evidence="seen",
        revision="arn:aws:ecs:us-east-1:111111111111:task-definition/shop-api:7",
        running=2,
        desired=2,
        since=_SINCE,
    )
    return replace(ordinary, **changes)


def one_service() -> Board:
    account = Complaint("envs/mb.toml:1: account", "the account is 999999999999", "check the profile 'mb'")
    stuck = "ECS deployment circuit breaker: tasks failed to start."
    return Board(
        "shop",
        ("dev", "staging", "prod"),
        (
            cell("main", "dev"),
            cell(
                "main", "staging", standing="rolling", running=1, runs=(NEW, OLD), marks=("mixed", "short", "rolling")
            ),
            cell("main", "prod", commit=OLD, subject="", by="", evidence="recorded", wanted=NEW, marks=("behind",)),
            cell("mb", "dev", running=0, desired=0, evidence="defined", marks=("drifted",), override="at night"),
            cell("zoo", "dev", marks=("foreign",), foreign=("image", "revision")),
            cell("zoo", "staging", marks=("foreign",), foreign=("revision",)),
            cell("zoo", "prod", marks=("foreign",), foreign=("revision",)),
            cell("mb", "staging", standing="rolled back", marks=("failed", "mixed"), detail=stuck),
            Cell(target("mb", tier="prod"), "unseen", complaint=account),
            Cell(target("new", tier="dev"), "missing"),
        ),
        at=_SINCE + timedelta(hours=3),
        notes=("drift could not be judged: templates/api.json.j2: there is no TOKEN",),
    )


def two_services() -> Board:
    cells = [
        cell(tenant, tier, service)
        for tenant in ("main", "mb")
        for tier in ("dev", "prod")
        for service in ("api", "worker")
    ]
    return Board("shop", ("dev", "prod"), tuple(cells[:-1]), at=_SINCE + timedelta(days=2))


_GLYPHS = ["a", "-", "é", "e\u0301", "日本", "👩", "…", " ", "  ", "\t", "\n", "\u3000", "\xa0", "\x1b[1m"]
_SPANS = st.builds(
    Span,
    st.lists(st.sampled_from(_GLYPHS) | st.characters(max_codepoint=0x10FF, categories=["L", "N", "P"])).map("".join),
)
_ENTRIES = st.lists(_SPANS, max_size=3).map(lambda spans: entry(*spans))
_COLUMNS = st.builds(Column, st.sampled_from(["", "target", "日本"]), st.sampled_from(["whole", "fold", "crop"]))
_LINES = st.builds(lambda spans, indent: line("x", *spans, indent=indent), st.lists(_SPANS), st.integers(0, 6))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables of any shape, also without columns, headers or rows."""
    columns = draw(st.lists(_COLUMNS, max_size=4))
    rows = draw(st.lists(st.tuples(*[_ENTRIES for _ in columns]), max_size=4))
    return Table(tuple(columns), tuple(rows), spaced=draw(st.booleans()))


@examples(max_examples=50)
@given(st.lists(tables() | _LINES | st.just(BLANK), max_size=3).map(tuple))
def test_where_no_terminal_is_a_sheet_is_laid_out_as_on_one_of_endless_width(sheet):
    assert plain(sheet) == fitted_to(sheet, 100_000)


@pytest.mark.parametrize("width", [140, 60])
@pytest.mark.parametrize(("name", "made"), [("one-service", one_service()), ("two-services", two_services())])
def test_the_board_reads_as_expected(name, made, width):
    expect(f"board-{name}.{width}.txt", fitted_to(board.sheet(made), width))


def test_the_board_as_json_reads_as_expected():
    expect("board-one-service.json", as_text(board.as_json(one_service())))


def test_a_cell_that_cannot_be_read_costs_only_itself():
    text = plain(board.sheet(one_service()))
    assert "mb-prod/api (envs/mb.toml:1: account): the account is 999999999999\n    check the profile 'mb'\n" in text
    assert text.count("1a2b3c4 2/2") == 5


def test_every_mark_on_the_board_has_its_legend_and_no_other_has():
    text = plain(board.sheet(one_service()))
    told = {word for word in WORDS if f"\n{word}: " in text}
    assert told == set(board.counts(one_service()))


def test_what_is_so_of_many_targets_is_said_once_and_no_longer_than_anybody_reads():
    tenants = [f"t{number}" for number in range(12)]
    behind = [cell(each, "prod", wanted=NEW, marks=("behind",)) for each in tenants]
    text = plain(board.sheet(Board("shop", ("prod",), tuple(behind), at=_SINCE)))
    assert f"\n{', '.join(f'{each}-prod/api' for each in tenants[:8])} and 4 more behind: prod names" in text


def test_targets_that_the_same_place_hides_are_named_with_it_once():
    account = Complaint("account 222222222222", "out of reach", "check the network")
    hidden = [Cell(target("mb", tier=tier), "unseen", complaint=account) for tier in ("dev", "prod")]
    text = plain(board.sheet(Board("shop", ("dev", "prod"), tuple(hidden), at=_SINCE)))
    assert "\nmb-dev/api, mb-prod/api (account 222222222222): out of reach\n    check the network\n" in text


def test_an_empty_board_says_so():
    assert plain(board.sheet(Board("shop", ("dev",), (), at=_SINCE))) == "no environments\n"


def listings() -> tuple[RepositoryImages, ...]:
    newest = EcrImage(
        "api", DIGEST, (NEW, "prod", RELEASE, "staging-20260101T000000Z", "staging", "latest"), (), _SINCE
    )
    older = EcrImage(
        "api", "sha256:" + "cd" * 32, (OLD, f"{OLD}-dirty-01234567", "dev"), (), datetime(2025, 12, 31, tzinfo=UTC)
    )
    bare = EcrImage("api", "sha256:" + "ef" * 32)
    gone = "mb-dev could not be seen: no such cluster"
    return (
        RepositoryImages("api", "api", (newest, older, bare), {DIGEST: ("prod", "mb-prod", "staging")}),
        RepositoryImages("worker", "shop/worker", (), notes=(gone,)),
        RepositoryImages(
            "mailer", "mailer", (), notes=("mailer could not be read: no such repository", gone), is_read=False
        ),
    )


def test_tag_list_reads_as_expected():
    expect("images.txt", fitted_to(images.sheet(listings(), ("dev", "staging", "prod")), 120))
    expect("images.60.txt", fitted_to(images.sheet(listings(), ("dev", "staging", "prod")), 60))
    expect("images.json", as_text(images.as_json(listings(), ("dev", "staging", "prod"))))


def rows() -> list[settings.Row]:
    url, role = "redis://:hunter2@cache/0", "arn:aws:iam::222222222222:role/deploy"
    secret = "arn:aws:secretsmanager:us-east-1:222222222222:secret:db"
    return [
        ("role", role, Origin("envs/mb.toml", "role", 3)),
        ("family", "shop-mb-prod-api", None),
        ("cpu", 256, Origin("envs/project.toml", "defaults.cpu", 12)),
        ("env.LOG_LEVEL", "warning", Origin("envs/mb.toml", "tiers.prod.env.LOG_LEVEL")),
        ("env.DB_PASSWORD", "hunter2hunter2", Origin("envs/mb.toml", "env.DB_PASSWORD", 8)),
        ("env.CACHE", url, Origin("envs/mb.toml", "env.CACHE", 9)),
        ("secrets.DATABASE_PASSWORD", secret, Origin("envs/mb.toml", "secrets.DATABASE_PASSWORD", 12)),
        ("vars.subnets", ["subnet-1", "subnet-2"], Origin("envs/mb.toml", "vars.subnets", 14)),
        ("vars.login", {"user": "api", "token": "hunter2"}, Origin("envs/mb.toml", "vars.login", 15)),
    ]


def test_settings_read_as_expected():
    expect("settings.txt", fitted_to(settings.sheet(rows()), 120))
    expect("settings.60.txt", fitted_to(settings.sheet(rows()), 60))
    expect("settings.json", as_text(settings.as_json(rows())))


def test_settings_of_several_services_stand_under_their_names():
    two = {"api": rows()[:2], "worker": rows()[2:3]}
    expect("settings-of-services.txt", plain(settings.services_sheet(two)))
    assert settings.services_json(two)["worker"] == {
        "cpu": {"value": 256, "from": "envs/project.toml:12: defaults.cpu"}
    }


def test_settings_that_look_secret_are_masked_but_references_are_not():
    text = plain(settings.sheet(rows())) + as_text(settings.as_json(rows()))
    assert "hunter2" not in text
    assert "secret:db" in text


def test_a_clean_check_counts_what_it_checked():
    listed = [target(), target(service="worker"), target("mb")]
    assert plain(settings.checked_sheet(listed)) == "2 environments, 3 targets: all good\n"
    told = plain(settings.checked_sheet(listed, ["not checked: x"]))
    assert told == "not checked: x\n2 environments, 3 targets: all good\n"


def test_environments_read_as_expected():
    apart = replace(target("mb", "worker"), cluster="batch", wave=2)
    listed = [target(), target(service="worker"), target("mb"), apart]
    expect("environments.txt", fitted_to(settings.environments_sheet(listed), 100))
    expect("environments.json", as_text(settings.environments_json(listed)))


def test_environments_with_jobs_read_as_expected():
    job = replace(target(service="nightly"), job=JobSettings("rate(1 hour)"))
    by_hand = replace(target("mb", "reindex"), job=JobSettings())
    listed = [target(), job, target("mb"), target("mb", "worker"), by_hand, replace(by_hand, name="x", wave=2)]
    expect("environments-with-jobs.txt", fitted_to(settings.environments_sheet(listed), 100))
    assert [each["jobs"] for each in settings.environments_json(listed)] == [["nightly"], ["reindex"], ["x"]]


def test_the_lock_reads_as_expected():
    held = LockState("prod", "ada", "2026-01-02T03:04:05Z", "release.prod", NEW, machine="ci-7", pid=42, token="t0ken")
    hold = LockState(
        "dev", "bob", "2026-01-03T03:04:05Z", "release.rollback dev", OLD, "rolled back from b to a", release="dev-1"
    )
    alive_at = datetime(2026, 1, 2, 3, 9, 7, tzinfo=UTC)
    shown = (TierLock("prod", held, alive_at=alive_at), TierLock("dev"), TierLock("dev", hold=hold))
    expect("lock.txt", "".join(map(plain, map(locks.sheet, shown))))
    documents = (TierLock("prod", held, alive_at=alive_at), TierLock("dev"), TierLock("prod", held, hold))
    expect("lock.json", "".join(as_text(locks.as_json(each)) for each in documents))


def test_a_sheet_is_shown_plain_and_whole_where_there_is_no_terminal():
    stdout = StringIO()
    show(board.sheet(one_service()), stdout)
    assert stdout.getvalue() == plain(board.sheet(one_service()))


def test_exact_json_is_the_very_document_and_yet_harmless():
    document = {"url": "postgres://api:hunter2@db", "odd": "\x1b[31m \x9b \u202e \ud800 \n Zoë"}
    stdout = StringIO()
    show_exact_json(document, stdout)
    assert json.loads(stdout.getvalue()) == document
    assert "\\u009b \\u202e \\ud800 \\n Zoë" in stdout.getvalue()


def test_json_holds_letters_of_every_language():
    document = json.loads(as_text({"by": "Zoë → 雪"}))
    assert document == {"by": "Zoë → 雪"}
    assert "Zoë" in as_text({"by": "Zoë"})
