"""The grammar of tags: what is which, and that names sort as time does."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploytasks import tags

LEGAL = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")  # OCI distribution-spec
TIERS = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC))
COMMITS = st.text("0123456789abcdef", min_size=40, max_size=40)


@given(TIERS, TIMES)
def test_a_release_tag_is_legal_and_gives_its_time_back_to_the_second(tier: str, at: datetime):
    tag = tags.release_tag(tier, at)
    assert LEGAL.fullmatch(tag)
    assert tags.certified_at(tag, tier) == at.replace(microsecond=0)


@given(TIERS, TIMES, TIMES)
def test_release_tags_sort_by_name_as_they_do_by_time(tier: str, one: datetime, other: datetime):
    earlier, later = sorted([one.replace(microsecond=0), other.replace(microsecond=0)])
    assert tags.release_tag(tier, earlier) <= tags.release_tag(tier, later)


@given(TIERS, TIERS, TIMES)
def test_a_release_tag_belongs_to_its_own_tier_alone(tier: str, other: str, at: datetime):
    assert tags.is_release(tags.release_tag(tier, at), other) == (tier == other)


@given(TIERS, TIMES, TIMES)
def test_the_next_release_sorts_after_the_newest_even_when_the_clock_goes_back(tier, now, newest):
    before = tags.release_tag(tier, newest)
    assert tags.next_release(tier, now, before) > before


@given(COMMITS, COMMITS)
def test_a_dirty_tag_is_a_legal_commit_tag_that_shows_its_commit(commit: str, tree: str):
    tag = tags.dirty_tag(commit, tree)
    assert LEGAL.fullmatch(tag) and tags.is_commit(tag) and tags.is_dirty(tag)
    assert tags.short(tag) == f"{commit[:7]}-dirty"


@pytest.mark.parametrize(
    "tag",
    ["prod", "prod-11/12/20-10:30", "prod-20201332T000000Z", "prod-20201112T103000", "prod--20201112T103000Z "],
)
def test_what_only_looks_like_a_release_is_none(tag: str):
    assert not tags.is_release(tag, "prod")


@pytest.mark.parametrize("tag", ["abc1234", "A" * 40, "a" * 41, "a" * 40 + "-dirty", "latest"])
def test_what_only_looks_like_a_commit_is_none(tag: str):
    assert not tags.is_commit(tag)


def test_the_newest_release_is_the_tiers_own_latest():
    named = ["prod-20260102T030405Z", "prod-20260203T040506Z", "dev-20270101T000000Z", "prod", "a" * 40]
    assert tags.newest_release(named, "prod") == "prod-20260203T040506Z"
    assert tags.newest_release(named, "staging") is None


def test_clean_commits_come_before_dirty_ones():
    clean, dirty = "b" * 40, tags.dirty_tag("a" * 40, "c" * 40)
    assert tags.commits([dirty, "prod", clean]) == (clean, dirty)


def test_a_clock_that_is_right_is_believed():
    now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
    before = tags.release_tag("prod", now - timedelta(days=1))
    assert tags.next_release("prod", now, before) == "prod-20261123T120000Z"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00+00:00"),
        ("2026-11-23T12:00", "2026-11-23T12:00:00+00:00"),
        ("2026-11-23T12:00+05:30", "2026-11-23T06:30:00+00:00"),
        ("0001-01-01T00:00+14:00", None),
        ("9999-12-31T23:59-12:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_is_utc_where_it_names_no_offset_and_none_where_it_is_none(
    monkeypatch: pytest.MonkeyPatch, text: str, told: str | None
):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    at = tags.time_told(text)
    monkeypatch.undo()
    time.tzset()
    assert (at.isoformat() if at else None) == told
