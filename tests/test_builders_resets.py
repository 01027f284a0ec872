"""A registry that resets the connection in the middle of a push: tried again, and never left with half an image."""

from pathlib import Path
from typing import Any

import pytest

from deploytasks.builders.registry import Reference, opened
from deploytasks.errors import BuildFailed
from tests.registry import Registry, serving
from tests.test_builders_append import COMMIT, base, build, context, job, naps, registry

__all__ = ["context", "naps", "registry"]
MOMENTS = ["before", "after"]


def made(registry: Registry, context: Path) -> Any:
    base(registry)
    return job(registry, context, f"FROM {registry.host}/base:1\nCOPY app.py /srv/\n")


def requests_of_a_build(context: Path) -> int:
    with serving() as undisturbed:
        build(made(undisturbed, context))
        return len(undisturbed.requests)


def cut_at(registry: Registry, number: int, moment: str, times: int = 1) -> None:
    """The request of that number, and so many after it altogether, are reset."""
    registry.cut = lambda method, path: moment if number <= len(registry.requests) < number + times else ""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_reset_at_any_request_of_a_push_is_tried_again_and_the_image_is_whole(
    context: Path, moment: str, naps: list[float]
):
    for number in range(1, requests_of_a_build(context) + 1):
        with serving(immutable=True) as registry:
            cut_at(registry, number, moment)
            told: list[Any] = []
            digest = build(made(registry, context), told=told)
            assert registry.tags["api"] == {COMMIT: digest}, f"request {number}: {registry.requests[number - 1]}"
            assert any("tried again in 1 s" in each.message for each in told)
    assert set(naps) == {1.0}


@pytest.mark.parametrize("moment", MOMENTS)
def test_resets_without_end_are_a_plain_message_and_leave_no_half_pushed_tag(
    context: Path, moment: str, naps: list[float]
):
    for number in range(1, requests_of_a_build(context) + 1):
        with serving() as registry:
            cut_at(registry, number, moment, times=99)
            with pytest.raises(BuildFailed) as caught:
                build(made(registry, context))
            assert "the registry does not answer (ConnectionError)" in str(caught.value)
            for tag in registry.tags.get("api", {}):
                assert registry.missing("api", registry.manifests["api"][registry.tags["api"][tag]][1]) == []
    assert naps[:3] == [1.0, 3.0, 9.0]


def test_a_busy_registry_is_asked_again(registry: Registry, context: Path, naps: list[float]):
    answers = iter([(503, b""), (429, b"")])
    registry.fault = lambda method, path: next(answers, None) if method == "PUT" else None
    build(made(registry, context))
    assert naps == [1.0, 3.0]


def test_a_registry_that_says_no_or_was_never_reached_is_not_asked_again(
    registry: Registry, context: Path, naps: list[float]
):
    registry.fault = lambda method, path: (403, b"") if method == "PUT" else None
    with pytest.raises(BuildFailed):
        build(made(registry, context))
    with (
        pytest.raises(BuildFailed, match="does not answer"),
        opened(Reference("localhost:1", "api"), None) as nobody,
    ):
        nobody.has(f"sha256:{'0' * 64}")
    assert naps == []


def test_an_immutable_tag_that_is_refused_the_second_time_is_well_put_by_the_first(registry: Registry, context: Path):
    said = b'{"errors": [{"code": "TAG_INVALID", "message": "cannot be overwritten because the tag is immutable"}]}'
    puts: list[str] = []
    registry.cut = lambda method, path: "after" if method == "PUT" and COMMIT in path and not puts else ""
    registry.fault = lambda method, path: (
        (400, said) if method == "PUT" and COMMIT in path and (puts.append(path) or len(puts) > 1) else None
    )
    digest = build(made(registry, context))
    assert (registry.tags["api"], len(puts)) == ({COMMIT: digest}, 2)
