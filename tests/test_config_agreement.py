"""What the files must be together: names that exist, tiers in one line, environments and services that never meet."""

import pytest

from deploytasks.config.names import RESERVED_TIER_NAMES
from tests.envs_files import MB, PROJECT, loaded, refusal

STAGING = '[tiers.staging]\ntag = "mutable"\nafter = "dev"\n'
ACME = MB.replace("222222222222", "333333333333")


def test_a_tenants_tier_must_be_the_projects(tmp_path):
    said = refusal(tmp_path, mb=MB.replace("[tiers.prod]", "[tiers.prd]"))
    assert said == (
        "envs/mb.toml:5: tiers.prd: there is no tier 'prd' in envs/project.toml\n"
        "    did you mean 'prod'?\n"
        "    known: dev, prod"
    )


@pytest.mark.parametrize(
    ("mb", "where"),
    [
        ("services.apy.cpu = 256\n" + MB, "1: services.apy"),
        (MB + "services.apy.cpu = 256\n", "6: tiers.prod.services.apy"),
    ],
)
def test_a_tenants_service_must_be_the_projects(tmp_path, mb, where):
    assert refusal(tmp_path, mb=mb) == (
        f"envs/mb.toml:{where}: there is no service 'apy' in envs/project.toml\n    did you mean 'api'?\n    known: api"
    )


@pytest.mark.parametrize("where", ["defaults", "tiers.prod.settings"])
def test_a_layers_service_must_be_the_projects(tmp_path, where):
    said = refusal(tmp_path, f"{PROJECT}[{where}.services.apy]\n")
    assert said.startswith(f"envs/project.toml:13: {where}.services.apy: there is no service 'apy'")


@pytest.mark.parametrize("key", ["account", "region", "cluster"])
def test_an_environment_needs_account_region_and_cluster(tmp_path, key):
    mb = "\n".join(line for line in MB.splitlines() if not line.startswith(key))
    said = refusal(tmp_path, mb=mb)
    hint = f"write {key} = … here, at the top of envs/mb.toml, or under [defaults] in envs/project.toml"
    assert said == (
        f"envs/mb.toml:3: tiers.dev: mb-dev has no {key}\n    {hint}\n"
        f"envs/mb.toml:4: tiers.prod: mb-prod has no {key}\n    {hint}"
    )


def test_a_role_must_be_of_the_targets_account(tmp_path):
    mb = 'role = "arn:aws:iam::222222222222:role/deploy"\n' + MB + 'account = "333333333333"\n'
    assert refusal(tmp_path, mb=mb) == (
        "envs/mb.toml:1: role: is a role of account 222222222222, but mb-prod is account 333333333333\n"
        "    the account is from envs/mb.toml: tiers.prod.account\n"
        "    give mb-prod a role of its own account"
    )


def test_the_registrys_role_must_be_of_its_account(tmp_path):
    project = PROJECT.replace("[images.api]", 'role = "arn:aws:iam::111111111111:role/push"\n[images.api]')
    said = refusal(tmp_path, project)
    assert said.startswith(
        "envs/project.toml:6: registry.role: is a role of account 111111111111, but the registry's is 000000000000"
    )


def test_a_name_both_in_env_and_secrets_names_both_places(tmp_path):
    said = refusal(tmp_path, PROJECT + '[defaults.env]\nDB = "plain"\n', mb='secrets.DB = "/db"\n' + MB)
    assert said.splitlines()[0] == (
        "envs/project.toml:14: defaults.env.DB: mb-dev has DB among its secrets too, from envs/mb.toml: secrets.DB"
    )


def test_a_removed_variable_may_be_a_secret(tmp_path):
    mb = 'env.DB = false\nsecrets.DB = "/db"\n' + MB
    targets = loaded(tmp_path, PROJECT + '[defaults.env]\nDB = "plain"\n', mb=mb).targets
    assert {(*target.env, *target.secrets) for target in targets} == {("DB",)}


@pytest.mark.parametrize("name", sorted(RESERVED_TIER_NAMES))
def test_a_tier_may_not_be_called_as_a_task(tmp_path, name):
    said = refusal(tmp_path, PROJECT + f'[tiers.{name}]\ntag = "mutable"\nafter = "prod"\n')
    assert said.startswith(f"envs/project.toml:13: tiers.{name}: '{name}' is the name of another task\n")


def test_an_image_may_not_be_called_as_the_task_that_builds_all(tmp_path):
    assert refusal(tmp_path, PROJECT.replace("[images.api]", "[images.all]")) == (
        "envs/project.toml:6: images.all: 'all' is the name of another task\n"
        "    choose another name: inv build.all builds every image"
    )


def test_there_are_at_most_five_tiers(tmp_path):
    more = "".join(f'[tiers.t{number}]\ntag = "mutable"\nafter = "dev"\n' for number in range(4))
    assert "envs/project.toml:8: tiers: 6 tiers are more than 5\n" in refusal(tmp_path, PROJECT + more)
    loaded(tmp_path, PROJECT + more[: more.index("[tiers.t3]")])


def test_a_second_first_tier_would_pass_no_gate_and_is_refused(tmp_path):
    said = refusal(tmp_path, PROJECT.replace('after = "dev"\n', ""))
    assert said == (
        "envs/project.toml:10: tiers.prod: a second first tier beside 'dev': it would build, and pass no gate\n"
        '    write which tier is before it, such as after = "dev"'
    )


@pytest.mark.parametrize(("dev", "prod"), [("prod", "dev"), ("dev", "dev")])
def test_tiers_in_a_circle_are_refused(tmp_path, dev, prod):
    project = PROJECT.replace('tag = "mutable"', f'tag = "mutable"\nafter = "{dev}"')
    assert "envs/project.toml:10: tiers.dev.after: 'dev' comes after itself\n" in refusal(tmp_path, project)


def test_a_tier_after_a_circle_is_not_blamed_for_it(tmp_path):
    project = PROJECT.replace('tag = "mutable"', 'tag = "mutable"\nafter = "dev"')
    assert "tiers.prod" not in refusal(tmp_path, project)


def test_two_tiers_may_come_after_one(tmp_path):
    assert [tier.name for tier in loaded(tmp_path, PROJECT + STAGING).tiers] == ["dev", "prod", "staging"]


def test_a_timeout_of_nothing_is_refused(tmp_path):
    said = refusal(tmp_path, PROJECT + 'timeout = "0m"\n')
    assert said == "envs/project.toml:13: tiers.prod.timeout: is zero"


def test_environments_shown_alike_are_refused(tmp_path):
    project = PROJECT.replace("[tiers.prod]", "[tiers.x-dev]")
    said = refusal(
        tmp_path, project, mb=MB.replace("[tiers.prod]", "[tiers.x-dev]"), mb_x=ACME.replace("[tiers.prod]", "")
    )
    assert said.startswith(
        "envs/mb-x.toml:4: tiers.dev: is shown as 'mb-x-dev', and so is envs/mb.toml: tiers.x-dev\n"
        "    rename the tenant's file or the tier"
    )


def test_mains_tier_may_not_be_shown_as_another_tenants_environment(tmp_path):
    project = PROJECT.replace("[tiers.prod]", "[tiers.mb-dev]")
    main = ACME.replace("[tiers.prod]", "[tiers.mb-dev]")
    said = refusal(tmp_path, project, main=main, mb=MB.replace("[tiers.prod]\n", ""))
    assert "is shown as 'mb-dev', and so is envs/main.toml: tiers.mb-dev" in said


def test_two_targets_are_never_one_ecs_service(tmp_path):
    mb = MB.replace("{tenant}-{tier}", "shared")
    assert refusal(tmp_path, mb=mb) == (
        "envs/mb.toml:3: cluster: mb-prod/api and mb-dev/api are the same ECS service: "
        "shared/api, account 222222222222, us-east-1\n"
        "    give one of them another account, cluster or ecs_service"
    )


@pytest.mark.parametrize("apart", ['account = "333333333333"', 'region = "eu-west-1"', 'ecs_service = "other"'])
def test_targets_of_one_cluster_name_may_be_apart_by(tmp_path, apart):
    loaded(tmp_path, mb=MB.replace("{tenant}-{tier}", "shared") + apart)


def test_two_targets_of_one_account_never_share_a_family(tmp_path):
    said = refusal(tmp_path, mb='family = "mine"\n' + MB)
    assert said.startswith(
        "envs/mb.toml:1: family: mb-prod/api and mb-dev/api share the task definition family mine, "
        "account 222222222222, us-east-1\n"
    )


def test_families_by_default_that_meet_are_refused(tmp_path):
    """shop + a-dev + b-c, and shop + a-dev-b + c."""
    project = PROJECT.replace("[tiers.prod]", "[tiers.dev-b]").replace("[services.api]", "[services.b-c]\n[services.c]")
    said = refusal(tmp_path, project, mb=MB.replace("[tiers.prod]", "[tiers.dev-b]"))
    assert "share the task definition family shop-mb-dev-b-c, account 222222222222" in said


def test_two_images_never_share_a_repository(tmp_path):
    said = refusal(tmp_path, PROJECT + '[images.web]\nrepository = "shop/api"\n[services.web]\n')
    assert said == (
        "envs/project.toml:14: images.web.repository: is the repository of 'api' too: 'shop/api'\n"
        "    both would be pushed under the same commit tag: give each image its own"
    )


@pytest.mark.parametrize("name", ["a--b", "a-"])
def test_an_images_name_that_is_no_repository_needs_one_beside_it(tmp_path, name):
    said = refusal(tmp_path, f"{PROJECT}[images.{name}]\n[services.{name}]\n")
    assert said == (
        f"envs/project.toml:13: images.{name}.repository: 'shop/{name}' can't be an ECR repository\n"
        "    give another repository"
    )
    loaded(tmp_path, f'{PROJECT}[images.{name}]\nrepository = "fine"\n[services.{name}]\n')
