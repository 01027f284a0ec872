"""Audit tags: any text goes into ECS's narrow tag values and comes back."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploytasks.aws.tags import CUT, KEYS, LONGEST, PREFIX, escape, from_ecs, to_ecs, unescape

LEGAL = frozenset("_.:/=+-@")
texts = st.text(max_size=400) | st.text("aws: =.…<é\t", max_size=300) | st.text("=.0123ABCDEF", max_size=300)


def is_legal(value):
    return all(each in LEGAL or unicodedata.category(each)[0] in "LZN" for each in value)


@given(texts)
def test_an_escaped_value_is_legal_and_short_enough(value):
    escaped = escape(value)
    assert is_legal(escaped)
    assert len(escaped) <= LONGEST
    assert len(escaped.encode("utf-16-le")) <= 2 * LONGEST
    assert not escaped.lower().startswith("aws:")
    assert escaped == escaped.strip()


@given(texts)
def test_what_fits_comes_back_as_it_was(value):
    escaped = escape(value)
    if not escaped.endswith(CUT):
        assert unescape(escaped) == value


@given(texts)
def test_what_does_not_fit_is_marked_and_its_beginning_comes_back(value):
    escaped = escape(value)
    if escaped.endswith(CUT):
        back = unescape(escaped)
        assert back.endswith("…")
        assert value.startswith(back[:-1])
        assert len(escaped) > LONGEST - len(CUT) - 12  # no more is lost than one character's escape


@given(st.text("=.0123ABCDEFG", max_size=300))
def test_a_tag_that_somebody_else_wrote_does_no_harm(value):
    assert isinstance(unescape(value), str)


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("sha256:" + "a" * 64, "sha256:" + "a" * 64),
        ("prod-20260101T000000Z", "prod-20260101T000000Z"),
        ("Zoë Müller <zoe@example.com>", "Zoë Müller =3Czoe@example.com=3E"),
        ("https://ci.example/run?id=7&x=1", "https://ci.example/run=3Fid=3D7=26x=3D1"),
        ("it's on fire!", "it=27s on fire=21"),
        ("🚀", "=F0=9F=9A=80"),
        ("aws:me", "=61ws:me"),
        (" a b ", "=20a b=20"),
        ("=...", "=3D..."),
        ("x" * 257, "x" * 252 + "=..."),
        ("<" * 100, "=3C" * 84 + "=..."),
    ],
)
def test_values_are_readable_where_they_can_be(value, escaped):
    assert escape(value) == escaped


def test_a_lone_surrogate_survives():
    assert unescape(escape("a\udc80b")) == "a\udc80b"


def test_tags_carry_our_prefix_and_empty_ones_are_left_out():
    assert to_ecs({"project": "shop", "release": "", "by": "a&b"}) == [
        {"key": "deploytasks:project", "value": "shop"},
        {"key": "deploytasks:by", "value": "a=26b"},
    ]


def test_only_our_own_tags_are_read_back():
    tags = [{"key": "team", "value": "x"}, {"key": "deploytasks:by", "value": "a=26b"}, {"key": "deploytasks:ci"}]
    assert from_ecs(tags) == {"by": "a&b", "ci": ""}


@given(st.dictionaries(st.sampled_from(KEYS), st.text(min_size=1, max_size=20)))
def test_tags_come_back_as_they_were(tags):
    assert from_ecs(to_ecs(tags)) == tags


def test_every_key_is_a_legal_tag_key():
    assert all(re.fullmatch(r"[a-z]+:[a-z]+", PREFIX + key) for key in KEYS)
