"""A shop's AWS with a proxy before it that breaks calls, and clocks short enough for a test."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from botocore.config import Config
from botocore.retries.standard import ExponentialBackoff

from deploytasks.aws import retries, session
from tests.commands import Ran, Shop
from tests.proxy import Proxy


@pytest.fixture
def proxy(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What stands between the shop's commands and its AWS. Nobody waits for a retry."""
    for name in ("throttling_base_scale", "non_throttling_base_scale"):
        monkeypatch.setitem(ExponentialBackoff._DEFAULT_BACKOFF_CONFIG, name, 0)
    with Proxy(shop.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


Patient = Callable[[float], None]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    """Sets after how many seconds of silence something is asked again, instead of ten or thirty."""
    return partial(set_silence, monkeypatch)


def set_silence(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Until the patch is undone, silence of so many seconds is too long."""
    monkeypatch.setattr(retries, "QUESTION_TIMEOUT_S", seconds)
    for name in ("CONFIG", "FIRST"):
        monkeypatch.setattr(session, name, getattr(session, name).merge(Config(read_timeout=seconds)))


def outcomes(ran: Ran) -> dict[str, str]:
    return {result["target"]: result["outcome"] for result in ran.summary["results"]}
