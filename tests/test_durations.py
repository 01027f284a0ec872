"""Lengths of time as people write them, and as they are told."""

import pytest

from deploytasks.durations import is_length, seconds, spelled


@pytest.mark.parametrize(
    ("length", "in_seconds"), [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("2m10s", 130), ("24h", 86400)]
)
def test_a_length_is_so_many_seconds(length: str, in_seconds: int):
    assert (is_length(length), seconds(length)) == (True, in_seconds)


@pytest.mark.parametrize("length", ["", "0s", "0h0m", "15", "soon", "5m1h", "-5m", "1.5h", "٣h", "87601h"])
def test_no_other_text_is_a_length(length: str):
    assert not is_length(length)


@pytest.mark.parametrize(("told", "in_seconds"), [("0s", 0.4), ("15m", 900), ("1h30m", 5400.2), ("2m10s", 129.6)])
def test_a_length_is_told_in_whole_seconds_as_it_is_read(told: str, in_seconds: float):
    assert spelled(in_seconds) == told
