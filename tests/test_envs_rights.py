"""`inv envs.rights`: the roles of a project in three formats, as narrow as its files, and all that the code calls."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import boto3
import hcl2
import pytest
from moto import mock_aws
from msgspec.structs import replace

from deploytasks.aws import rights
from deploytasks.aws.operations import OPERATIONS
from deploytasks.aws.trust import Repository
from deploytasks.commands.envs_rights import Asked, grants, notes, repository
from deploytasks.config.load import load
from deploytasks.errors import Invalid
from deploytasks.flags import choices
from deploytasks.model import Project
from deploytasks.model.rights import HOLDERS, Grant
from deploytasks.report.rights import FORMATS, as_json, as_terraform
from tests import repositories
from tests.envs_files import write
from tests.template_stage import DEFINITION
from tests.test_envs_schema import ran

GITHUB = Asked(repository="github.com/acme/shop")
PROJECT = """\
[project]
name = "shop"
[registry]
account = "000000000000"
region = "us-east-1"
role = "arn:aws:iam::000000000000:role/ci/push"
external_id = "push"
[notify]
webhook = "NOTIFY"
[images.api]
[services.api]
[jobs.nightly]
schedule = "cron(0 3 * * ? *)"
[jobs.hourly]
[tiers.dev]
tag = "mutable"
[tiers.prod]
tag = "immutable"
after = "dev"
[defaults]
region = "us-east-1"
cluster = "{tenant}-{tier}"
role = "arn:aws:iam::{account}:role/deploy"
cpu = 256
memory = 512
vars.port = 8080
[defaults.secrets]
DB = "arn:aws:secretsmanager:{region}:{account}:secret:shop/db-config"
KEY = "/shop/{tenant}/key"
[defaults.jobs.nightly]
schedule_role = "arn:aws:iam::{account}:role/scheduler"
vars.subnets = ["subnet-1"]
[defaults.jobs.hourly]
rule = "{tenant}-hourly"
"""
MB = """\
account = "222222222222"
external_id = "mb"
[tiers.dev]
[tiers.prod]
region = "eu-west-1"
"""


def shop(root: Path, project: str = PROJECT, partition: str = "aws", **tenants: str) -> Project:
    """The project, which has all kinds of resources that rights are about."""
    write(root, project.replace("NOTIFY", "ssm:/shop/slack"), **(tenants or {"mb": MB}))
    (root / "templates").mkdir(exist_ok=True)
    task = DEFINITION.replace('"executionRoleArn"', '"taskRoleArn": "task",\n  "executionRoleArn"')
    task = task.replace("arn:aws:", f"arn:{partition}:")
    for name in ("api", "nightly", "hourly"):
        (root / f"templates/{name}.json.j2").write_text(task)
    return load(root)


def with_all(root: Path) -> Iterator[Project]:
    """Both kinds of webhooks, which exclude each other, in two projects."""
    yield shop(root)
    write(root, PROJECT.replace("NOTIFY", "secretsmanager:slack"), mb=MB)
    yield load(root)


def shown(form: str, project: Project, asked: Asked = GITHUB) -> str:
    made = FORMATS[form](project.name, grants(project, asked))
    return made if isinstance(made, str) else json.dumps(made)


def documents(form: str, text: str) -> list[dict[str, Any]]:
    """Every policy and trust policy in the text, by a reader that is not ours."""
    match form:
        case "terraform":
            hcl2.loads(text)
            decoder = json.JSONDecoder()
            return [decoder.raw_decode(text, found.end())[0] for found in re.finditer(r"jsonencode\(", text)]
        case "cloudformation":
            bodies = [each["Properties"] for each in json.loads(text)["Resources"].values()]
            return [each.get("PolicyDocument") or each["AssumeRolePolicyDocument"] for each in bodies]
    roles = json.loads(text)["roles"]
    policies = [each["document"] for role in roles for each in role["policies"]]
    return policies + [role["trust"] for role in roles if role["trust"]]


def statements(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [statement for document in found for statement in document["Statement"]]


def actions(found: Sequence[Mapping[str, Any]]) -> set[str]:
    return {action for each in statements(found) if "Resource" in each for action in each["Action"]}


@pytest.mark.parametrize("form", FORMATS)
def test_every_right_that_the_code_needs_is_in_every_format(tmp_path: Path, form: str):
    found = set().union(*(actions(documents(form, shown(form, project))) for project in with_all(tmp_path)))
    assert found == {action for listed in rights.needed().values() for action in listed}


@pytest.mark.parametrize("form", FORMATS)
def test_an_operation_that_is_added_is_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str):
    row = replace(OPERATIONS["ecs", "StopTask"], name="ExecuteCommand")
    monkeypatch.setitem(OPERATIONS, ("ecs", "ExecuteCommand"), row)
    assert "ecs:ExecuteCommand" in actions(documents(form, shown(form, shop(tmp_path))))


def test_the_formats_say_the_same(tmp_path: Path):
    project = shop(tmp_path)
    said = [sorted(map(json.dumps, documents(form, shown(form, project)))) for form in FORMATS]
    assert said[0] == said[1] == said[2]


def by_action(grant: Grant) -> dict[str, list[str]]:
    return {action: each["Resource"] for each in statements(grant.policies) for action in each["Action"]}


def only(project: Project, holder: str, **asked: Any) -> Grant:
    (grant,) = grants(project, Asked(holders=(holder,), repository="github.com/acme/shop", **asked))
    return grant


def test_a_tenants_role_may_touch_what_its_files_name_and_nothing_else(tmp_path: Path):
    grant = only(shop(tmp_path), "tenant")
    assert (grant.account, grant.role, grant.tenants) == (
        "222222222222",
        "arn:aws:iam::222222222222:role/deploy",
        ("mb",),
    )
    dev, prod, iam = "us-east-1:222222222222", "eu-west-1:222222222222", "arn:aws:iam::222222222222:role"
    found = by_action(grant)
    assert found["ecs:UpdateService"] == [
        *(f"arn:aws:ecs:{prod}:service/mb-prod/api", f"arn:aws:ecs:{dev}:service/mb-dev/api")
    ]
    assert found["ecs:StopServiceDeployment"] == [
        f"arn:aws:ecs:{prod}:service-deployment/mb-prod/api/*",
        f"arn:aws:ecs:{prod}:service/mb-prod/api",
        f"arn:aws:ecs:{dev}:service-deployment/mb-dev/api/*",
        f"arn:aws:ecs:{dev}:service/mb-dev/api",
    ]
    assert f"arn:aws:ecs:{dev}:task-definition/shop-mb-dev-nightly:*" in found["ecs:RunTask"]
    assert found["ecs:StopTask"] == [f"arn:aws:ecs:{prod}:task/mb-prod/*", f"arn:aws:ecs:{dev}:task/mb-dev/*"]
    assert [arn for arn in found["ecs:TagResource"] if arn.startswith(f"arn:aws:ecs:{dev}:")] == [
        f"arn:aws:ecs:{dev}:service/mb-dev/api",
        *(f"arn:aws:ecs:{dev}:task-definition/shop-mb-dev-{name}:*" for name in ("api", "hourly", "nightly")),
        f"arn:aws:ecs:{dev}:task/mb-dev/*",
    ]
    assert f"arn:aws:logs:{dev}:log-group:/ecs/shop-mb-dev-api:*" in found["logs:GetLogEvents"]
    assert found["secretsmanager:DescribeSecret"] == [
        f"arn:aws:secretsmanager:{region}:secret:shop/db-config{end}"
        for region in (prod, dev)
        for end in ("", "-??????")
    ]
    assert found["ssm:GetParameters"] == [f"arn:aws:ssm:{region}:parameter/shop/mb/key" for region in (prod, dev)]
    named, starting = [f"{iam}/ecsTaskExecutionRole", f"{iam}/task"], [f"{iam}/scheduler"]
    looked_at = [each["Resource"] for each in statements(grant.policies) if each["Action"] == ["iam:GetRole"]]
    assert looked_at == [named, starting]
    assert found["scheduler:UpdateSchedule"] == [
        *(f"arn:aws:scheduler:{prod}:schedule/default/shop-mb-prod-nightly",),
        *(f"arn:aws:scheduler:{dev}:schedule/default/shop-mb-dev-nightly",),
    ]
    assert found["events:PutTargets"] == [f"arn:aws:events:{region}:rule/mb-hourly" for region in (prod, dev)]
    passed = {
        each["Condition"]["StringEquals"]["iam:PassedToService"]: each["Resource"]
        for each in statements(grant.policies)
        if each["Action"] == ["iam:PassRole"]
    }
    assert passed == {
        "ecs-tasks.amazonaws.com": named,
        "scheduler.amazonaws.com": starting,
        "events.amazonaws.com": [f"{iam}/*"],  # that of the rule's target, which no file names
    }


def test_the_registrys_role_is_for_the_projects_repositories_and_parameters(tmp_path: Path):
    found = by_action(only(shop(tmp_path), "registry"))
    assert found["ecr:PutImage"] == ["arn:aws:ecr:us-east-1:000000000000:repository/shop/api"]
    assert found["ssm:PutParameter"] == ["arn:aws:ssm:us-east-1:000000000000:parameter/deploytasks/shop/*"]
    assert "ecr:SetRepositoryPolicy" not in found
    assert "ecr:SetRepositoryPolicy" in by_action(only(shop(tmp_path), "bootstrap"))


def test_the_webhooks_key_is_used_through_its_store_alone(tmp_path: Path):
    (key,) = (
        each for each in statements(only(shop(tmp_path), "registry").policies) if each["Action"] == ["kms:Decrypt"]
    )
    through = ["secretsmanager.us-east-1.amazonaws.com", "ssm.us-east-1.amazonaws.com"]
    assert key["Condition"] == {"StringEquals": {"kms:ViaService": through}}


def test_a_role_trusts_cis_role_and_who_is_named_with_the_external_id(tmp_path: Path):
    ops = "arn:aws:iam::999999999999:role/ops-*"
    for holder, external_id in (("tenant", "mb"), ("registry", "push")):
        grant = only(shop(tmp_path), holder, trusted=(ops,))
        assert grant.trust is not None
        assert grant.trust["Statement"] == [
            {
                "Effect": "Allow",
                "Principal": {"AWS": ["arn:aws:iam::000000000000:root", "arn:aws:iam::999999999999:root"]},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::000000000000:role/release", ops]},
                    "StringEquals": {"sts:ExternalId": external_id},
                },
            }
        ]


def test_a_role_that_some_assume_without_an_external_id_has_a_statement_for_each(tmp_path: Path):
    trusting = only(shop(tmp_path, mb=MB.replace('external_id = "mb"', "") + 'external_id = "xx"\n'), "tenant").trust
    assert trusting is not None
    sent = [each["Condition"].get("StringEquals") for each in trusting["Statement"]]
    assert sent == [None, {"sts:ExternalId": "xx"}]


TOKENS = {
    "github.com/acme/shop": (
        "token.actions.githubusercontent.com",
        "sts.amazonaws.com",
        ["repo:acme/shop:ref:refs/heads/main", "repo:acme/shop:environment:dev", "repo:acme/shop:environment:prod"],
    ),
    "https://github.example.org/acme/shop": (
        "github.example.org/_services/token",
        "sts.amazonaws.com",
        ["repo:acme/shop:ref:refs/heads/main", "repo:acme/shop:environment:dev", "repo:acme/shop:environment:prod"],
    ),
    "gitlab.com/acme/web/shop": (
        *("gitlab.com", "https://gitlab.com"),
        ["project_path:acme/web/shop:ref_type:branch:ref:main"],
    ),
    "git@git.example.org:acme/shop.git": (
        *("git.example.org", "https://git.example.org"),
        ["project_path:acme/shop:ref_type:branch:ref:main"],
    ),
}


@pytest.mark.parametrize("repository", TOKENS)
def test_cis_role_trusts_the_jobs_that_release_and_assumes_all_roles(tmp_path: Path, repository: str):
    project, (issuer, audience, subjects) = shop(tmp_path), TOKENS[repository]
    (grant,) = grants(project, Asked(holders=("ci",), repository=repository))
    assert grant.role == "arn:aws:iam::000000000000:role/release"
    assert grant.trust is not None
    (statement,) = grant.trust["Statement"]
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::000000000000:oidc-provider/{issuer}"}
    assert statement["Condition"] == {"StringEquals": {f"{issuer}:aud": audience, f"{issuer}:sub": subjects}}
    assert by_action(grant) == {
        "sts:AssumeRole": ["arn:aws:iam::000000000000:role/ci/push", "arn:aws:iam::222222222222:role/deploy"]
    }


def test_where_envs_names_no_role_ci_acts_itself_and_a_profile_gets_policies_alone(tmp_path: Path):
    bare = re.sub(r'(role|external_id) = "(arn:aws:iam::000000000000:role/ci/push|push)"\n', "", PROJECT)
    bare = bare.replace('role = "arn:aws:iam::{account}:role/deploy"\n', "")
    mb = MB.replace('external_id = "mb"', 'profile = "mb admin"')
    project = shop(
        tmp_path, bare, mb=mb, main=MB.replace("222222222222", "000000000000").replace('external_id = "mb"', "")
    )
    tenant, ci, _bootstrap = grants(project, GITHUB)
    assert (tenant.role, tenant.trust, tenant.who, tenant.name) == ("", None, "profile mb admin", "mb-admin")
    assert {"ecr:PutImage", "ecs:UpdateService"} <= {*by_action(ci)}
    assert all(":222222222222:" not in arn for arns in by_action(ci).values() for arn in arns)
    (registry,) = grants(project, Asked(holders=("registry",)))
    assert (registry.role, registry.trust, "ecr:PutImage" in by_action(registry)) == ("", None, True)


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_all_arns_are_of_the_regions_partition(tmp_path: Path, region: str, partition: str):
    text = PROJECT.replace("us-east-1", region).replace("arn:aws:", f"arn:{partition}:")
    text = text.replace('schedule = "cron(0 3 * * ? *)"', "")  # older botocores know no role of these for a schedule
    found = grants(shop(tmp_path, text, partition, mb=MB.replace("eu-west-1", region)), GITHUB)
    assert {*re.findall(r"arn:(aws[a-z-]*):", json.dumps(as_json("shop", found)))} == {partition}
    (ci,) = (grant for grant in found if grant.holder == "ci")
    assert ci.trust is not None
    audience = ci.trust["Statement"][0]["Condition"]["StringEquals"]["token.actions.githubusercontent.com:aud"]
    assert audience == ("sts.amazonaws.com.cn" if region.startswith("cn-") else "sts.amazonaws.com")


def many(count: int) -> dict[str, str]:
    return {f"t{number}": MB.replace("222222222222", f"{number:012}") for number in range(1, count + 1)}


def test_what_is_longer_than_a_policy_may_be_is_split(tmp_path: Path):
    project = shop(tmp_path, **many(200))
    grant = only(project, "ci")
    assert len(grant.policies) == 2
    assert [each for each in grant.policies if rights.length(each) > 6_144] == []
    assumed = [arn for each in statements(grant.policies) for arn in each["Resource"]]
    assert sorted(assumed) == sorted({each.access.role for each in project.targets} | {project.registry.access.role})


def test_what_is_more_than_a_role_may_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rights, "LONGEST_POLICY", 600)
    with pytest.raises(Invalid, match=r"needs \d+ policies, and IAM lets a role have 10"):
        grants(shop(tmp_path), Asked(tenants=("mb",)))


def test_a_trust_policy_that_is_too_long_is_refused(tmp_path: Path):
    trusted = tuple(f"arn:aws:iam::000000000000:role/{'x' * 60}{number}" for number in range(30))
    with pytest.raises(Invalid, match=r"its trust policy would have 3,?\d+ characters, and IAM takes 2048"):
        grants(shop(tmp_path), Asked(tenants=("mb",), trusted=trusted))


def test_a_template_of_too_many_resources_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("deploytasks.report.rights.MOST_RESOURCES", 5)
    with pytest.raises(Invalid, match="and CloudFormation takes 5\n    select by --tenant"):
        shown("cloudformation", shop(tmp_path))


def test_a_tenant_is_selected_with_all_that_shares_its_role(tmp_path: Path):
    project = shop(tmp_path, mb=MB, x=MB.replace("mb", "xx"), y=MB.replace("222222222222", "333333333333"))
    (grant,) = grants(project, Asked(tenants=("x",)))
    assert grant.tenants == ("mb", "x")
    assert [each.account for each in grants(project, Asked(tenants=("y",)))] == ["333333333333"]


REFUSED = {
    "a tenant": (Asked(tenants=("bm",)), "--tenant: there is no tenant 'bm'\n    known: mb"),
    "a role": (Asked(holders=("tenants",)), "--role: 'tenants' is not known\n    did you mean 'tenant'?"),
    "no repository": (Asked(), "--repository: is missing, and git has no remote `origin`\n    name it: --repository"),
    "what is none": (Asked(repository="shop"), "--repository: 'shop' names no repository\n    name it"),
    "a password": (Asked(repository="u:pw@shop"), "--repository: 'shop' names no repository"),
    "a folder": (Asked(repository="../x.y/shop"), "--repository: '../x.y/shop' names no repository"),
    "another CI": (
        Asked(),
        "--repository: git's origin is bitbucket.org/acme/shop: neither GitHub nor a GitLab by its name\n",
    ),
    "no URL": (Asked(repository="https://[x/acme/shop"), "--repository: 'https://[x/acme/shop' names no repository"),
    "no ARN": (Asked(trusted=("ops",)), "--trust: 'ops' is not the ARN of a role or user\n    for example --trust arn"),
}


def test_the_table_of_flags_has_whose_rights_may_be_asked_for_and_in_which_formats():
    assert choices("envs.rights", "role") == HOLDERS
    assert choices("envs.rights", "format") == tuple(FORMATS)


@pytest.mark.parametrize(("asked", "said"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Asked, said: str):
    origin = "git@bitbucket.org:acme/shop.git" if "bitbucket" in said else ""
    monkeypatch.setattr("deploytasks.git.origin_url", lambda _root: origin)
    with pytest.raises(Invalid) as caught:
        grants(shop(tmp_path), asked)
    assert str(caught.value).startswith(said)


def test_a_wrong_template_is_told_once_for_all_its_targets(tmp_path: Path):
    project = shop(tmp_path)
    (tmp_path / "templates/api.json.j2").write_text("{{ nobody }}")
    with pytest.raises(Invalid, match=r"templates/api.json.j2:1: mb-dev/api, mb-prod/api: a template sees no 'nobody'"):
        grants(project, Asked(tenants=("mb",)))


def test_the_repository_is_gits_origin_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("deploytasks.git.origin_url", lambda _root: "ssh://git@github.com:22/acme/shop.git")
    (grant,) = grants(shop(tmp_path), Asked(holders=("ci",)))
    assert "repo:acme/shop:environment:dev" in json.dumps(grant.trust)


def test_the_branch_is_the_remotes_default_and_a_hosts_name_has_no_case(tmp_path: Path):
    project = shop(tmp_path)
    repositories.run(tmp_path, "init", "-q")
    repositories.run(tmp_path, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    for named in ("GitHub.com/acme/shop", "git@GitHub.com:acme/shop.git"):
        assert repository(project, Asked(repository=named)) == Repository("github.com", "acme/shop", "trunk")
    assert repository(project, Asked(repository="github.com/acme/shop", branch="old")).branch == "old"


def test_roles_that_the_policies_name_and_that_are_not_written_are_told(tmp_path: Path):
    told = next(iter(notes(grants(shop(tmp_path), GITHUB))))
    assert told == (
        "not written, make them in the tenants' accounts (docs/rights.md): ecsTaskExecutionRole, scheduler, task"
    )
    assert not any("not written" in each for each in notes(grants(shop(tmp_path), Asked(holders=("registry",)))))


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")
def test_terraform_fmt_would_change_nothing(tmp_path: Path):
    (tmp_path / "roles.tf").write_text(shown("terraform", shop(tmp_path)) + "\n")
    formatted = subprocess.run(["terraform", "fmt", "-check", "-diff", tmp_path / "roles.tf"], capture_output=True)
    assert (formatted.stdout.decode(), formatted.returncode) == ("", 0)


def test_what_terraform_would_take_for_a_template_is_escaped(tmp_path: Path):
    project = shop(tmp_path)
    (grant,) = grants(project, Asked(tenants=("mb",)))
    hostile = replace(grant, policies=({"Statement": [{"Resource": ["arn:${aws:x}", "%{ if"]}]},))
    assert '"arn:$${aws:x}"' in as_terraform("shop", [hostile])
    assert '"%%{ if"' in as_terraform("shop", [hostile])


@mock_aws
def test_moto_takes_the_roles_and_policies(tmp_path: Path):
    iam = boto3.client("iam", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    for grant in grants(shop(tmp_path), GITHUB):
        if grant.role:
            iam.create_role(RoleName=grant.name, Path=grant.path, AssumeRolePolicyDocument=json.dumps(grant.trust))
        for name, document in grant.named_policies("shop"):
            made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
            if grant.role:
                iam.attach_role_policy(RoleName=grant.name, PolicyArn=made["Policy"]["Arn"])
    assert {each["Arn"].rpartition(":role")[2] for each in iam.list_roles()["Roles"]} == {
        *("/deploy", "/release", "/ci/push")
    }


def test_cfn_lint_finds_nothing_in_the_template(tmp_path: Path):
    from cfnlint import api

    found = api.lint_all(shown("cloudformation", shop(tmp_path)))
    assert [str(each) for each in found if not each.rule.id.startswith("I")] == []  # I…: advice


def test_each_account_makes_its_own_roles_only(tmp_path: Path):
    template = json.loads(shown("cloudformation", shop(tmp_path)))
    for body in template["Resources"].values():
        account = body["Condition"].removeprefix("In")
        assert template["Conditions"][f"In{account}"] == {"Fn::Equals": [{"Ref": "AWS::AccountId"}, account]}
    accounts = re.findall(r"allowed_account_ids = (.*)", shown("terraform", shop(tmp_path)))
    assert accounts == ['["000000000000"]', '["222222222222"]']


@cache
def known_to_cfn_lint() -> dict[str, Any]:
    """AWS's service authorization reference, as cfn-lint has it: the resources that each action takes."""
    text = (files("cfnlint") / "data/AdditionalSpecs/Policies.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def patterns(action: str) -> list[str] | None:
    """The patterns of the ARNs that an action takes; None if it takes none, and * must stand there."""
    service, _, name = action.partition(":")
    known = known_to_cfn_lint()[service]
    resources = {each.lower(): body for each, body in known["Resources"].items()}
    listed = {each.lower(): body for each, body in known["Actions"].items()}[name.lower()].get("Resources")
    return [arn for each in listed for arn in resources[each.lower()]["ARNFormats"]] if listed else None


def test_each_action_is_about_the_resources_that_aws_says_it_takes(tmp_path: Path):
    found = [
        each
        for project in with_all(tmp_path)
        for grant in grants(project, GITHUB)
        for each in statements(grant.policies)
    ]
    wrong = [
        (action, arn)
        for each in found
        for action in each["Action"]
        for arn in each["Resource"]
        if not taken(arn, patterns(action)) and action != "ecs:ListTasks"  # of tasks that run on no instance, too
    ]
    assert wrong == []


def taken(arn: str, formats: list[str] | None) -> bool:
    if formats is None:
        return arn == "*"
    return any(re.fullmatch(re.sub(r"\$\{\w+\}", "[^:]*", each), arn) for each in formats)


@pytest.mark.parametrize("form", FORMATS)
def test_the_task_prints_the_format_and_what_must_be_there_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
):
    project = shop(tmp_path)
    assert ran(tmp_path, "envs.rights", "--repository", "github.com/acme/shop", "--format", form) == 0
    said = capsys.readouterr()
    assert documents(form, said.out) == documents(form, shown(form, project))
    assert said.err == (
        "envs.rights: not written, make them in the tenants' accounts (docs/rights.md): "
        "ecsTaskExecutionRole, scheduler, task\n"
        "envs.rights: account 000000000000 must have the identity provider: aws iam create-open-id-connect-provider "
        "--url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com\n"
        "envs.rights: arn:aws:iam::000000000000:role/release trusts repo:acme/shop:ref:refs/heads/main; "
        "--branch names another branch\n"
    )
