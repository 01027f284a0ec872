"""An answer has a deadline as a whole: a server that drips is told of as a silent one is, and costs only its target."""

import json
import re
import signal
import time
from typing import Any

import pytest

from deploytasks.aws import retries, transport
from tests.cloud.world import tenant_account
from tests.commands import Shop
from tests.faulty import Patient, outcomes
from tests.proxy import Drip, Proxy, Rule, Stall

pytestmark = pytest.mark.waits
ONE, TWO = tenant_account(1), tenant_account(2)
RUN = ("deploy.run", "prod", "--tenant", "t1", "--service", "api", "--", "date")


@pytest.fixture(autouse=True)
def _short(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer may be silent for half a second, and take one."""
    patient(0.5)
    monkeypatch.setattr(transport, "ANSWER_S", 0.5)


def test_a_tenant_whose_answers_drip_is_refused_by_name_in_bounded_time(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(Drip(0.1), "DescribeServices", TWO),)
    began = time.monotonic()
    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert re.search(r't2-prod\S*: .*The answer of "http://127.0.0.1:\d+/" was not whole after 1 s', ran.stderr)
    assert len(proxy.calls("DescribeServices", TWO)) == retries.ATTEMPTS_IN_SILENCE
    assert time.monotonic() - began < 60


def test_an_answer_that_drips_once_is_asked_for_again(shop: Shop, proxy: Proxy):
    drips = ("AssumeRole", "PutParameter", "DescribeServices", "RegisterTaskDefinition", "UpdateService", "ListTasks")
    proxy.rules = tuple(Rule(Drip(0.1), operation, times=1) for operation in drips)
    assert outcomes(shop.inv("deploy.prod", "--json")) == {"t1-prod/api": "deployed", "t2-prod/api": "deployed"}


def test_an_answer_that_only_takes_its_time_is_waited_for(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(Stall(0.3), "DescribeServices", times=2),)
    assert shop.inv("deploy.prod").code == 0
    assert len(proxy.calls("DescribeServices", TWO)) == len(proxy.calls("DescribeServices", ONE))


@pytest.mark.parametrize("effect", [Stall(), Drip(0.2)], ids=["silent", "dripping"])
def test_a_command_that_is_interrupted_while_nobody_knows_whether_it_began_says_so(
    shop: Shop, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, patient: Patient, effect: Any
):
    patient(20)
    monkeypatch.setattr(transport, "GRACE_S", 0.5)
    proxy.rules = (Rule(effect, "RunTask"),)
    began = time.monotonic()
    shop.interrupt(lambda call: call.operation == "DescribeTaskDefinition", signal.SIGTERM)  # before it
    assert shop.inv(*RUN).code == 130
    proxy.rules = (Rule(type(effect)(effect.seconds, lambda call: _signalled()), "RunTask"),)
    ran = shop.inv(*RUN)
    assert (ran.code, time.monotonic() - began < 60) == (130, True)
    assert "whether its task was started is not known\n    aws ecs list-tasks" in ran.stderr


def _signalled() -> None:
    import os

    os.kill(os.getpid(), signal.SIGTERM)


def test_what_is_said_of_an_interruption_reaches_programs_at_once(shop: Shop, proxy: Proxy):
    shop.endpoint.cloud.rollout_s = 60
    shop.interrupt(lambda call: call.operation == "DescribeServices" and shop.writes().get("UpdateService", 0) == 2)
    ran = shop.inv("deploy.prod", "--json")
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    (said,) = [each["message"] for each in told if each.get("step") == "interrupted"]
    assert ran.code == 130 and said.startswith(
        "interrupted: t1-prod/api, t2-prod/api not ended; answers that are under"
    )
