"""A container counts where it was given `{{ image }}`; a sidecar from the same repository is none of our business."""

import pytest

from deploytasks.rules import observed
from deploytasks.rules.observed import container_of, given, ours
from tests.cloud.world import IMAGE
from tests.commands import REGISTRY, Shop
from tests.given import HOST, NEW, NEW_DIGEST, OLD, OLD_DIGEST, live, target

REPOSITORY = f"{HOST}/api"


def at(tag):
    return f"{REPOSITORY}:{tag}"


PINNED, SIDECAR = f"{REPOSITORY}@{NEW_DIGEST}", f"{REPOSITORY}@{OLD_DIGEST}"
ROWS = {
    "the recorded digest, and not a sidecar's": ([PINNED, SIDECAR], NEW_DIGEST, [PINNED]),
    "the tier's tag, and not a sidecar's": ([at("proxy-1.27"), at("prod")], "", [at("prod")]),
    "the tier's tag, where a digest is recorded": ([at("prod"), at("proxy")], NEW_DIGEST, [at("prod")]),
    "a release tag": ([at("proxy"), at("prod-20260203T040506Z")], "", [at("prod-20260203T040506Z")]),
    "another tier's tags are none of ours": ([at("dev"), at("dev-20260203T040506Z"), at("prod")], "", [at("prod")]),
    "a commit tag": ([at("proxy"), at(NEW)], "", [at(NEW)]),
    "the tier's tag rather than a sidecar's commit": ([at(OLD), at("prod")], "", [at("prod")]),
    "a tag rather than a sidecar's digest": ([SIDECAR, at("prod")], "", [at("prod")]),
    "any digest, where nothing is recorded": ([PINNED, at("proxy")], "", [PINNED]),
    "any digest, where another one is recorded": ([SIDECAR, at("proxy")], NEW_DIGEST, [SIDECAR]),
    "a tag and its digest": ([f"{at('v1')}@{NEW_DIGEST}", at("proxy")], "", [f"{at('v1')}@{NEW_DIGEST}"]),
    "whatever another tool called it": ([at("v1"), "nginx"], "", [at("v1")]),
    "no other repository": ([f"{REPOSITORY}-admin:prod", f"{REPOSITORY}/x@{NEW_DIGEST}", "nginx"], "", []),
    "several that were given it": ([PINNED, SIDECAR, PINNED], NEW_DIGEST, [PINNED, PINNED]),
}


@pytest.mark.parametrize(("images", "digest", "wanted"), ROWS.values(), ids=ROWS)
def test_a_container_of_a_live_definition_is_ours_by_the_surest_sign(images, digest, wanted):
    found = ours([{"name": "x", "image": image} for image in images], REPOSITORY, "prod", digest)
    assert [each["image"] for each in found] == wanted


def test_a_task_of_an_older_revision_is_read_by_the_names_of_our_containers():
    task = [{"name": "api", "image": SIDECAR}, {"name": "proxy", "image": f"{REPOSITORY}@sha256:p"}]
    assert ours(task, REPOSITORY, "prod", NEW_DIGEST, ["api"]) == (task[0],)


def test_a_name_counts_only_with_an_image_of_ours():
    task = [{"name": "api", "image": "nginx"}, {"name": "old", "image": at("prod")}]
    assert ours(task, REPOSITORY, "prod", "", ["api"]) == (task[1],)


def test_in_a_rendered_request_only_the_rendered_image_is_ours():
    request = [{"name": "a", "image": at(NEW)}, {"name": "b", "image": at("prod")}]
    assert given(request, at("prod")) == (request[1],)


@pytest.mark.parametrize(
    ("names", "wanted"), [(["x"], "x"), (["x", "api"], "api"), (["x", "y"], ""), ([], "")], ids=str
)
def test_a_command_runs_in_the_only_container_or_in_the_one_called_as_the_service_is(names, wanted):
    assert container_of([{"name": name} for name in names], "api") == wanted


def test_what_a_definition_pins_is_our_containers_alone():
    both = {"containerDefinitions": [{"name": "proxy", "image": SIDECAR}, {"name": "api", "image": PINNED}]}
    seen = live(definition=both, revision_tags={"digest": NEW_DIGEST})
    assert observed.pinned(seen, "api") == (NEW_DIGEST,)
    assert observed.what_runs(seen, "api") == ((NEW_DIGEST,), "defined")


def test_a_further_image_that_no_container_was_given_needs_no_pin():
    both = target(images={"api": f"{HOST}/api", "nginx": f"{HOST}/nginx"})
    alone = live(target=both, runs=f"{HOST}/api@{NEW_DIGEST}")
    proxy = {"name": "proxy", "image": f"{HOST}/nginx:prod"}
    beside = live(target=both, definition={"containerDefinitions": [{"name": "api", "image": PINNED}, proxy]})
    assert (observed.images_of(alone), observed.is_pinned(alone)) == (("api",), True)
    assert (observed.images_of(beside), observed.is_pinned(beside)) == (("api", "nginx"), False)


SIDECARS = {"by tag": f"{IMAGE}:proxy-1.27", "by digest": f"{IMAGE}@sha256:{{}}", "by an old commit": f"{IMAGE}:{{}}"}


@pytest.mark.waits
@pytest.mark.parametrize("how", SIDECARS)
def test_a_sidecar_from_the_same_repository_hinders_no_release(shop: Shop, how: str):
    stored = shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    stored.tags["proxy-1.27"] = stored.store('{"proxy": true}').digest
    digest = stored.tags["proxy-1.27"].removeprefix("sha256:")
    sidecar = SIDECARS[how].format(shop.commits["older"] if how == "by an old commit" else digest)
    extra = f', {{"name": "proxy", "image": "{sidecar}", "essential": false}}\n  ]\n}}\n'
    shop.edit("templates/api.json.j2", "\n  ]\n}\n", extra)
    for tier in ("dev", "staging", "prod"):
        ran = shop.inv(f"release.{tier}", "--commit", shop.commits["newer"], "--json")
        assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 2}), ran.stderr
        assert shop.inv(f"release.{tier}", "--commit", shop.commits["newer"], "--json").summary["outcomes"] == {
            "unchanged": 2
        }
    assert shop.inv("status", "--check").code == 0
