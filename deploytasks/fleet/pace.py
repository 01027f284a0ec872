"""When a rollout is looked at next. Pure."""

_FAR_S, _NEAR_S = 12.0, 1.0
_NEAR_FROM, _NEAR_UNTIL = 0.85, 1.5
"""From and until which part of its expected length a rollout's end is near."""


def next_look_s(elapsed_s: float, expected_s: float | None) -> float:
    """Seconds until the next look at a rollout that began so long ago.

    Where it is known how long the last one took, it is looked at rarely until its end is near, and then every
    second; else after a tenth of the time that has passed, which bounds the delay to a tenth of the rollout.
    """
    if expected_s is None or elapsed_s >= expected_s * _NEAR_UNTIL:
        return min(max(_NEAR_S, (elapsed_s - (expected_s or 0.0)) / 10), 10.0)
    if elapsed_s >= expected_s * _NEAR_FROM:
        return _NEAR_S
    return min(max(_NEAR_S, expected_s * _NEAR_FROM - elapsed_s), _FAR_S)
