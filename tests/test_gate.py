"""The gate: given what the tier before runs and what is wished, what is expected, a row a situation; then commands."""

from typing import Any

import pytest

from deploytasks.errors import Complaint
from deploytasks.model import DesiredImage, Live, Tier
from deploytasks.rules import gate
from tests.cloud.accounts import Call
from tests.cloud.world import tenant_account
from tests.commands import Shop
from tests.gates import runs_older, untried
from tests.given import (
    HOST,
    NEW,
    NEW_DIGEST,
    OLD,
    OLD_DIGEST,
    deployment,
    desired,
    image,
    live,
    target,
    tier,
)

__all__ = ["untried"]
PROD = tier(after="staging")
PINNED, TAGGED = f"{HOST}/api@{NEW_DIGEST}", f"{HOST}/api:staging"
CHILD = "sha256:" + "3" * 64
RECORDED = {"digest": NEW_DIGEST, "commit": NEW, "at": "2026-11-23T11:00:00Z"}
ON_OLD = {"runs": f"{HOST}/api@{OLD_DIGEST}", "revision_tags": {"commit": OLD, "digest": OLD_DIGEST}}
BREAKER = "ECS deployment circuit breaker: tasks failed to start."


def staging(*deployments: Any, tenant: str = "main", tier: str = "staging", **running: Any) -> Live:
    place = {"target": target(tenant, tier), "runs": PINNED}
    return live(*deployments, **{**place, **running})


def asked(*upstream: Live, wished: DesiredImage | None = None, into: Tier = PROD) -> str:
    """Everything that the gate says."""
    return "\n".join(map(str, gate.gate(into, [wished or desired()], upstream)))


# given → (what runs in the tier before, what is wished)
OPEN: dict[str, tuple[list[Live], DesiredImage]] = {
    "the tier before runs the image, pinned": ([staging()], desired()),
    "its tasks show the image": ([staging(runs=TAGGED, digests=(NEW_DIGEST,))], desired()),
    "its tasks show a child of the index": (
        [staging(runs=TAGGED, digests=(CHILD,))],
        desired(image=image(NEW, children=(CHILD,))),
    ),
    "our own record tells, where no task does": ([staging(runs=TAGGED, service_tags=RECORDED)], desired()),
    "every tenant runs it": ([staging(), staging(tenant="mb")], desired()),
    "a tenant without the tier before runs it in the one before that": (
        [staging(), staging(tenant="mb", tier="dev")],
        desired(),
    ),
    "zero desired, after a completed rollout": (
        [staging(deployment(desired=0, running=0), desired=0, running=0)],
        desired(),
    ),
    "more tasks run than are desired": ([staging(deployment(desired=1, running=2))], desired()),
    "it was released to the tier before": ([staging(**ON_OLD)], desired(NEW, "prod-20261101T000000Z")),
    "it was released to the tier before, and nobody else has the tier before": (
        [],
        desired(NEW, "prod-20261101T000000Z"),
    ),
    "a later image failed there, and it went back to this one": (
        [staging(digests=(NEW_DIGEST,), failure=BREAKER)],
        desired(),
    ),
    "a controller that tells no states, and one deployment": ([staging(deployment(""))], desired()),
}


@pytest.mark.parametrize("situation", OPEN)
def test_the_gate_is_open_where(situation: str):
    upstream, wished = OPEN[situation]
    assert asked(*upstream, wished=wished) == ""


RELEASE = 'inv release.staging --commit bbbbbbb, or --override "reason"'
WAIT = 'inv deploy.wait staging, or --override "reason"'
# given → (what runs in the tier before, what is said, what to do)
SHUT: dict[str, tuple[Live, str, str]] = {
    "it runs another image": (staging(**ON_OLD), "it runs aaaaaaa", RELEASE),
    "it runs another image, by hand": (
        staging(runs=f"{HOST}/api@{OLD_DIGEST}"),
        "it runs sha256:111111111111",
        RELEASE,
    ),
    "nobody knows what it runs": (staging(runs=TAGGED), "it runs nothing known", RELEASE),
    "its tasks run two images": (
        staging(runs=TAGGED, digests=(OLD_DIGEST, NEW_DIGEST), revision_tags={"commit": OLD}),
        "it runs sha256:111111111111, sha256:222222222222",
        RELEASE,
    ),
    "the record says so, and the tasks say otherwise": (
        staging(runs=TAGGED, digests=(OLD_DIGEST,), service_tags=RECORDED),
        "it runs sha256:111111111111",
        RELEASE,
    ),
    "its rollout is under way": (staging(deployment("IN_PROGRESS")), "a rollout is under way there", WAIT),
    "its rollout is under way, and no state is told": (
        staging(deployment(""), deployment("", "ACTIVE", id="ecs-svc/0")),
        "a rollout is under way there",
        WAIT,
    ),
    "another rollout is under way": (
        staging(deployment("IN_PROGRESS"), **ON_OLD),
        "it runs aaaaaaa",
        RELEASE,
    ),
    "its rollout failed and stays": (
        staging(deployment("FAILED")),
        "its last rollout failed",
        'inv deploy.staging tries again, or --override "reason"',
    ),
    "its rollout failed, and ECS went back": (
        staging(**ON_OLD, failure=BREAKER),
        f"it runs aaaaaaa; its last rollout failed: {BREAKER[:-1]}",
        RELEASE,
    ),
    "its rollout failed, ECS went back, and only the record of that rollout tells": (
        staging(runs=TAGGED, service_tags=RECORDED, failure=BREAKER),
        f"it runs nothing known; its last rollout failed: {BREAKER[:-1]}",
        RELEASE,
    ),
    "it completed, and its tasks died since": (
        staging(deployment(desired=2, running=0), running=0),
        "only 0 of 2 tasks run there",
        WAIT,
    ),
    "a first deployment, born completed": (staging(deployment(running=1)), "only 1 of 2 tasks run there", WAIT),
    "zero desired, and another image": (
        staging(deployment(desired=0, running=0), desired=0, running=0, **ON_OLD),
        "it runs aaaaaaa",
        RELEASE,
    ),
    "the service is not there": (Live(target(tier="staging")), "the service is not there", RELEASE),
    "it cannot be seen": (
        Live(target(tier="staging"), complaint=Complaint("account 1", "AccessDenied", "sign in")),
        "it cannot be seen (AccessDenied)",
        'sign in, or --override "reason"',
    ),
    "somebody else's controller runs it": (
        Live(target(tier="staging"), exists=True, controller="EXTERNAL"),
        "it runs nothing known",
        RELEASE,
    ),
}


@pytest.mark.parametrize("situation", SHUT)
def test_the_gate_is_shut_where(situation: str):
    upstream, said, to_do = SHUT[situation]
    wished = desired(NEW, "staging-20261101T000000Z")
    assert asked(upstream, wished=wished) == f"staging/api: {said}, so bbbbbbb may not go to prod\n    {to_do}"


def test_one_tenant_that_does_not_run_it_shuts_the_gate_and_is_the_one_named():
    said = asked(staging(), staging(tenant="mb", **ON_OLD))
    assert said.startswith("mb-staging/api: it runs aaaaaaa") and "\nstaging/api" not in said


def test_where_no_tenant_has_a_tier_before_nothing_has_tried_it():
    assert asked() == (
        "prod/api: no selected tenant runs api in staging or before: nothing has tried bbbbbbb\n"
        '    inv release.staging --commit bbbbbbb, or --override "reason"'
    )


def test_each_image_is_asked_for_itself():
    worker = desired(name="worker", repository="worker")
    (said,) = gate.gate(PROD, [desired(), worker], [staging()])
    assert said.where == "prod/worker"


def test_the_first_tier_has_no_gate():
    assert asked(into=tier("dev")) == ""


def without(shop: Shop, tenant: str, *tiers: str) -> None:
    """The tenant has these tiers no longer."""
    tables = {"dev": '[tiers.dev]\nenv.LOG_LEVEL = "debug"\n', "staging": "[tiers.staging]\n"}
    for name in tiers:
        shop.edit(f"envs/{tenant}.toml", tables[name], "")


def test_an_untried_image_passes_where_staging_runs_it(untried: Shop):
    assert untried.inv("release.prod", "--no-wait").code == 0


def test_a_tenant_without_staging_is_asked_about_its_dev(untried: Shop):
    without(untried, "t2", "staging")
    runs_older(untried, 2, "dev")
    ran = untried.inv("release.prod")
    assert ran.code == 2
    assert ran.stderr.startswith("t2-dev/api: it runs ") and "t1-" not in ran.stderr
    assert untried.writes() == {}


def test_a_tenant_with_nothing_before_prod_is_let_in_by_the_others_alone(untried: Shop):
    without(untried, "t2", "staging", "dev")
    ran = untried.inv("release.prod", "--tenant", "t2")
    assert ran.code == 2
    assert "no selected tenant runs api in staging or before" in ran.stderr
    assert untried.inv("release.prod", "--no-wait").code == 0


@pytest.mark.parametrize("again", ["release.prod", "deploy.prod"])
def test_the_gate_is_asked_once_and_not_again_after_the_tag_is_minted(untried: Shop, again: str):
    untried.refuse("UpdateService", "AccessDeniedException", tenant_account(2))
    assert untried.inv("release.prod", "--no-wait").code == 1
    untried.endpoint.fault = None
    for number in (1, 2):
        runs_older(untried, number, "staging")
    assert untried.inv(again, "--no-wait").code == 0


def test_a_refused_gate_mints_nothing(untried: Shop):
    before = dict(untried.tags())
    runs_older(untried, 1, "staging")
    assert untried.inv("release.prod").code == 2
    assert untried.inv("tag.prod").code == 2
    assert untried.tags() == before


def test_a_commit_that_did_not_pass_is_not_deployed_either(untried: Shop):
    runs_older(untried, 1, "staging")
    newer = untried.commits["newer"]
    assert untried.inv("deploy.prod", "--to", newer).code == 2
    assert untried.inv("deploy.prod", "--to", newer, "--override", "x", "--no-wait").code == 0


def test_a_rollback_never_asks(shop: Shop):
    for commit in ("older", "newer"):
        words = ("--commit", shop.commits[commit], "--allow-older", "--override", "x", "--no-wait")
        assert shop.inv("release.prod", *words).code == 0
    asked: set[str] = set()

    def watch(call: Call) -> None:
        if call.operation == "DescribeServices":
            asked.add(call.ask["cluster"])

    shop.endpoint.fault = watch
    assert shop.inv("release.rollback", "prod", "--no-wait").code == 0
    assert asked == {"t1-prod", "t2-prod"}


def test_one_image_has_one_name_in_all_complaints_of_the_gate():
    recorded, unrecorded = staging(**ON_OLD), staging(runs=f"{HOST}/api@{OLD_DIGEST}", tenant="mb")
    said = gate.gate(PROD, [desired()], [recorded, unrecorded], {OLD_DIGEST: OLD})
    assert [each.what.partition(",")[0] for each in said] == ["it runs aaaaaaa", "it runs aaaaaaa"]
    mixed = staging(digests=(OLD_DIGEST, "sha256:" + "9" * 64), revision_tags={"commit": OLD})
    (one,) = gate.gate(PROD, [desired(commit_tag="")], [mixed], {OLD_DIGEST: OLD})
    assert one.what.startswith("it runs aaaaaaa, sha256:999999999999, so sha256:222222222222 may not go to")
