"""When a rollout is looked at next: rarely until its end is near, then often; and never much later than it ended."""

import pytest

from deploytasks.rollout.follow import next_look_s


def looks(lasts_s: float, expected_s: float | None) -> list[float]:
    """At which second it is looked at, until the look that sees its end."""
    at = [0.0]
    while at[-1] < lasts_s:
        at.append(at[-1] + next_look_s(at[-1], expected_s))
    return at[1:]


def test_a_rollout_as_long_as_the_last_is_noticed_within_a_second_with_few_looks():
    seen = looks(180, 180)
    assert seen[-1] - 180 <= 1.0
    assert len(seen) <= 43


@pytest.mark.parametrize("lasts_s", [150, 165, 195, 220, 260])
def test_one_that_differs_from_the_last_is_noticed_within_a_second_as_well(lasts_s: float):
    seen = looks(lasts_s + 0.5, 180)
    assert seen[-1] - lasts_s <= (1.5 if lasts_s > 153 else 12.5)


@pytest.mark.parametrize("lasts_s", [3, 30, 300, 3000])
def test_without_a_last_one_the_delay_is_a_tenth_of_the_rollout_at_most(lasts_s: float):
    seen = looks(lasts_s, None)
    assert seen[-1] - lasts_s <= max(1.0, min(lasts_s / 10, 10))


@pytest.mark.parametrize("expected_s", [0.0, 0.2, 5.0, 1e6, None])
@pytest.mark.parametrize("elapsed_s", [0.0, 1.0, 1e3, 1e7])
def test_it_is_never_asked_more_than_once_a_second_nor_left_alone_for_long(elapsed_s: float, expected_s: float | None):
    assert 1.0 <= next_look_s(elapsed_s, expected_s) <= 12.0
