"""Which targets a command is about: never by accident all, never none."""

import pytest

from deploytasks.config.select import names, select, tier, upstream_targets
from deploytasks.errors import Invalid
from deploytasks.model import Environment, Scope, Service
from deploytasks.spelling import suggestion
from tests import given


@pytest.fixture
def project(tmp_path):
    """acme has no prod; the worker is nowhere but in main's dev and staging."""
    places = [
        ("main", "dev", "api"),
        ("main", "dev", "worker"),
        ("main", "staging", "api"),
        ("main", "staging", "worker"),
        ("main", "prod", "api"),
        ("mb", "dev", "api"),
        ("mb", "prod", "api"),
        ("acme", "dev", "api"),
        ("lone", "prod", "api"),
    ]
    targets = [given.target(*place) for place in places]
    return given.project(tmp_path, *targets, services=(Service("api", "api"), Service("worker", "worker")))


def shown(targets):
    return [str(target) for target in targets]


def refused(call, *arguments):
    with pytest.raises(Invalid) as caught:
        call(*arguments)
    assert caught.value.code == 2
    return str(caught.value)


def test_a_flag_that_is_left_out_names_nothing():
    assert names("tenant", None) == ()


def test_names_are_separated_by_commas_and_each_counts_once():
    assert names("tenant", "mb, acme,mb") == ("mb", "acme")


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_flag_is_an_error_so_that_an_unset_variable_never_means_everybody(text):
    assert refused(names, "tenant", text) == (
        "--tenant: is empty\n    leave --tenant out to mean all, or name them: --tenant one,two"
    )


@pytest.mark.parametrize("text", [",", "mb,", ",mb", "mb,,acme", "mb, ,acme"])
def test_an_empty_name_among_others_is_an_error(text):
    assert refused(names, "tenant", text).startswith(f"--tenant: has an empty name in '{text}'\n")


@pytest.mark.parametrize(
    ("scope", "targets"),
    [
        (Scope("prod"), ["prod/api", "mb-prod/api", "lone-prod/api"]),
        (Scope("prod", tenants=("mb", "main")), ["prod/api", "mb-prod/api"]),
        (Scope("prod", exclude=("mb",)), ["prod/api", "lone-prod/api"]),
        (Scope("prod", exclude=("acme",)), ["prod/api", "mb-prod/api", "lone-prod/api"]),
        (Scope("dev", services=("worker",)), ["dev/worker"]),
        (Scope("dev", tenants=("main",), services=("worker", "api")), ["dev/api", "dev/worker"]),
    ],
)
def test_a_scope_selects_in_file_order(project, scope, targets):
    assert shown(select(project, scope)) == targets


def test_of_very_many_names_only_so_many_are_listed():
    known = [f"t{number}" for number in range(200)]
    meant, listed = suggestion("t199x", known).splitlines()
    assert meant == "did you mean 't199'?"
    assert listed.startswith("known: t0, t1, ") and listed.endswith(", t39 and 160 more")


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (
            Scope("prod", tenants=("mbb",)),
            "--tenant: there is no tenant 'mbb'\n    did you mean 'mb'?\n    known: main, mb, acme, lone",
        ),
        (
            Scope("prod", exclude=("zzz",)),
            "--exclude: there is no tenant 'zzz'\n    known: main, mb, acme, lone",
        ),
        (
            Scope("prod", services=("apis",)),
            "--service: there is no service 'apis'\n    did you mean 'api'?\n    known: api, worker",
        ),
        (
            Scope("prod", tenants=("acme",)),
            "--tenant: 'acme' has no prod\n"
            "    tenants that have it: main, mb, lone\n"
            "    to add it, write [tiers.prod] in envs/acme.toml",
        ),
        (
            Scope("prdo"),
            "tier: there is no tier 'prdo'\n    did you mean 'prod'?\n    known: dev, staging, prod",
        ),
        (
            Scope("prod", services=("worker",)),
            "prod: no target of any environment is left by --service worker\n    see which there are: inv envs.list",
        ),
        (
            Scope("prod", tenants=("mb",), exclude=("mb",)),
            "prod: no target of any environment is left by --tenant mb --exclude mb\n"
            "    see which there are: inv envs.list",
        ),
    ],
)
def test_a_scope_that_names_nothing_is_refused(project, scope, said):
    assert refused(select, project, scope) == said


def test_everything_wrong_with_the_flags_is_said_at_once(project):
    said = refused(select, project, Scope("prod", ("nobody", "acme"), ("nothing",), ("noone",)))
    assert [line.partition(":")[0] for line in said.splitlines() if line[0] != " "] == [
        "--tenant",
        "--service",
        "--exclude",
        "--tenant",
    ]


def test_a_tier_that_no_tenant_has_is_refused(project, tmp_path):
    empty = given.project(tmp_path)
    assert refused(select, empty, Scope("prod")).startswith("prod: no tenant has it")


def test_a_tier_is_found_by_name(project):
    assert tier(project, "staging").after == "dev"
    assert "did you mean 'staging'?" in refused(tier, project, "stagin")


def upstream(project, tier_name, *tenants):
    targets = [each for each in project.targets if each.environment.tier == tier_name]
    chosen = [each for each in targets if not tenants or each.environment.tenant in tenants]
    return shown(upstream_targets(project, project.tier(tier_name), chosen))


def test_an_image_comes_from_the_same_tenants_tier_before(project):
    assert upstream(project, "prod", "main") == ["staging/api"]


def test_a_tenant_without_the_tier_before_is_asked_about_the_one_before_that(project):
    assert upstream(project, "prod", "mb") == ["mb-dev/api"]


def test_a_tenant_without_any_tier_before_contributes_nothing(project):
    assert upstream(project, "prod", "lone") == []
    assert upstream(project, "prod") == ["staging/api", "mb-dev/api"]


def test_each_service_has_its_own_upstream(project):
    assert upstream(project, "staging") == ["dev/api", "dev/worker"]


def test_the_first_tier_has_no_upstream(project):
    assert upstream(project, "dev") == []


def test_a_service_that_is_new_in_the_tier_before_is_looked_for_before_that(tmp_path):
    targets = [given.target(tier="dev"), given.target(tier="staging", service="web"), given.target(tier="prod")]
    assert upstream(given.project(tmp_path, *targets), "prod") == ["dev/api"]
    assert targets[0].environment == Environment("main", "dev")
