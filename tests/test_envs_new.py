"""`inv envs.new`: the file of a new tenant, under which nothing can go to another tenant's account."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploytasks.commands.envs_new import Asked, new, told
from deploytasks.config.load import load
from deploytasks.config.new_tenant import Pattern, Wanted, guard, like
from deploytasks.errors import Failure, Invalid
from deploytasks.tasks import files
from tests.envs_files import PROJECT, write
from tests.test_envs_schema import ran, root  # noqa: F401 - a fixture

ACME = "333333333333"
MB = """\
# The customer MB.
account = "222222222222" # theirs
region = "us-east-1"
cluster = "{tenant}-{tier}"
profile = "mb-admin"
role = "arn:aws:iam::222222222222:role/deploy" # may do all
external_id = "xyz"
wave = 2

[env] # of all
PLAN = "gold" # as sold
HOST = "mb.example.com"
TEAM = "combo"

[secrets]
DB = "arn:aws:secretsmanager:us-east-1:222222222222:secret:shop/db"
KEY = "arn:aws:secretsmanager:us-east-1:222222222222:secret:shop/key-Ab12Cd"
SHARED = "arn:aws:secretsmanager:us-east-1:000000000000:secret:shared"

[vars]
subnets = [
    "subnet-0a1b", # one
    "subnet-2",
]
group = "arn:aws:elasticloadbalancing:us-east-1:222222222222:targetgroup/web/1"
zone = { name = "Berlin" }

# It sees new things first.
[tiers.dev]

# What pays.
[tiers.prod]
account = "444444444444"
role = "arn:aws:iam::444444444444:role/pay"
cpu = 1024
services.api.env.WORKERS = "8"
"""
LIKE_MB = """\
# The tenant acme, written like mb.

account = "333333333333"
region = "us-east-1"
cluster = "{tenant}-{tier}"
# fill in: profile = …
role = "arn:aws:iam::{account}:role/deploy" # may do all
# fill in: external_id = …
wave = 2

[env] # of all
PLAN = "gold" # as sold
# fill in: HOST = …
TEAM = "combo"

[secrets]
DB = "arn:aws:secretsmanager:us-east-1:{account}:secret:shop/db"
# fill in: KEY = …
SHARED = "arn:aws:secretsmanager:us-east-1:000000000000:secret:shared"

[vars]
# fill in: subnets = …
# fill in: group = …
zone = { name = "Berlin" }

# It sees new things first.
[tiers.dev]

# What pays.
[tiers.prod]
# fill in: account = …
role = "arn:aws:iam::{account}:role/pay"
cpu = 1024
services.api.env.WORKERS = "8"
"""


@pytest.fixture
def mb(tmp_path: Path) -> Path:
    return write(tmp_path, mb=MB)


def refusal(mb: Path, **asked: object) -> str:
    with pytest.raises(Invalid) as caught:
        new(mb, Asked(**{"tenant": "acme", "account": ACME, **asked}))
    return str(caught.value)


def test_a_copy_keeps_comments_and_order_and_leaves_out_what_is_the_other_tenants_own(mb: Path):
    draft = new(mb, Asked("acme", ACME, like="mb"))
    assert draft.text == LIKE_MB
    lines = draft.text.splitlines()
    assert all(lines[each.line - 1].startswith("# fill in: ") for each in draft.left_out)
    assert [(each.key, each.why) for each in draft.left_out] == [
        ("profile", "mb has one of its own"),
        ("external_id", "mb has one of its own"),
        ("env.HOST", "names mb"),
        ("secrets.KEY", "ends in the random characters of mb's secret"),
        ("vars.subnets", "names subnet-0a1b"),
        ("vars.group", "names account 222222222222"),
        ("tiers.prod.account", "mb has one of its own"),
    ]


def test_a_copy_is_loaded_and_every_environment_is_in_the_new_account(mb: Path):
    (mb / "envs/acme.toml").write_text(new(mb, Asked("acme", ACME, like="mb")).text)
    targets = [each for each in load(mb).targets if each.environment.tenant == "acme"]
    roles = {(each.access.account, each.access.role) for each in targets}
    assert roles == {(ACME, f"arn:aws:iam::{ACME}:role/{name}") for name in ("deploy", "pay")}
    assert [str(each.environment) for each in targets] == ["acme-dev", "acme-prod"]


def test_only_the_tiers_asked_for_are_copied_with_their_comments(mb: Path):
    draft = new(mb, Asked("acme", ACME, like="mb", tiers=("prod",)))
    assert [*tomllib.loads(draft.text)["tiers"]] == ["prod"]
    assert "# What pays." in draft.text
    assert "new things" not in draft.text


def test_flags_stand_in_place_of_what_the_other_tenant_says(mb: Path):
    found = tomllib.loads(new(mb, Asked("acme", ACME, like="mb", region="eu-west-1", profile="a")).text)
    assert (found["account"], found["region"], found["profile"]) == (ACME, "eu-west-1", "a")


def test_a_minimal_file_says_what_no_default_does(mb: Path):
    assert new(mb, Asked("acme", ACME)).text == (
        '# The tenant acme.\n\naccount = "333333333333"\nregion = "us-east-1" # the registry\'s\n'
        'cluster = "{tenant}-{tier}"\n\n[tiers.dev]\n\n[tiers.prod]\n'
    )
    write(mb, PROJECT + '[defaults]\nregion = "us-east-1"\ncluster = "one"\n', mb=MB)
    assert new(mb, Asked("acme", ACME, tiers=("dev",))).text == (
        '# The tenant acme.\n\naccount = "333333333333"\n\n[tiers.dev]\n'
    )


def test_the_first_tenant_of_all_is_made_the_same_way(tmp_path: Path):
    write(tmp_path)
    (tmp_path / "envs/mb.toml").unlink()
    draft = new(tmp_path, Asked("main", ACME))
    (tmp_path / "envs/main.toml").write_text(draft.text)
    assert [str(each) for each in load(tmp_path).targets] == ["dev/api", "prod/api"]
    assert "  inv release.dev --tenant main" in [*told(tmp_path, Asked("main", ACME), draft)]


REFUSED = {
    "a name that is none": ({"tenant": "Acme"}, "envs.new: 'Acme' can't be a tenant's name"),
    "the project's file": ({"tenant": "project"}, "envs.new: 'project' can't be a tenant's name"),
    "a way out of envs/": ({"tenant": "../x"}, "envs.new: '../x' can't be a tenant's name"),
    "a tenant that is there": ({"tenant": "mb"}, "envs/mb.toml: is there already\n    edit it, or choose another name"),
    "no account": ({"account": ""}, "--account: is missing: the AWS account of acme\n    name it, 12 digits"),
    "what is no account": (
        {"account": "33"},
        "--account: '33' is not an AWS account\n    it has 2 digits",
    ),
    "another tenant's account": ({"account": "222222222222"}, "--account: 222222222222 is the account of mb (envs/mb"),
    "one of its tiers'": ({"account": "444444444444"}, "--account: 444444444444 is the account of mb"),
    "an unknown tenant": ({"like": "mbb"}, "--like: there is no tenant 'mbb'\n    did you mean 'mb'?\n    known: mb"),
    "the project": ({"like": "project"}, "--like: there is no tenant 'project'"),
    "an unknown tier": ({"tiers": ("prd",)}, "--tier: there is no tier 'prd'\n    did you mean 'prod'?"),
    "what is no region": ({"region": "Berlin"}, "--region: there is no AWS region 'Berlin'\n    a region newer"),
    "a mistyped region": ({"region": "us-eats-1"}, "--region: there is no AWS region 'us-eats-1'\n    did you mean"),
}


@pytest.mark.parametrize(("asked", "said"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(mb: Path, asked: dict[str, object], said: str):
    assert refusal(mb, **asked).startswith(said)


def test_all_complaints_are_told_at_once(mb: Path):
    said = refusal(mb, tenant="Acme", account="", like="x", tiers=("y",))
    assert [line.partition(":")[0] for line in said.splitlines() if line[0] != " "] == [
        *("envs.new", "--account", "--like", "--tier")
    ]


def test_environments_that_would_be_shown_alike_are_refused(tmp_path: Path):
    write(tmp_path, PROJECT + '[tiers.x-dev]\ntag = "mutable"\nafter = "dev"\n', mb=MB + "[tiers.x-dev]\n")
    assert "is shown as 'mb-x-dev', and so is envs/mb.toml: tiers.x-dev" in refusal(tmp_path, tenant="mb-x")


def test_an_account_that_a_tenant_inherits_is_its_account(tmp_path: Path):
    mb = 'region = "us-east-1"\ncluster = "c"\n[tiers.dev]\n'
    write(tmp_path, PROJECT + f'[defaults]\naccount = "{ACME}"\n', mb=mb)
    assert refusal(tmp_path).startswith(f"--account: {ACME} is the account of mb")


def test_faults_of_the_files_are_told_first(mb: Path):
    (mb / "envs/mb.toml").write_text(MB.replace("wave", "waves"))
    assert refusal(mb, like="mb").startswith("envs/mb.toml:8: unknown key 'waves'")


@pytest.mark.parametrize(
    "text",
    [
        'account = "222222222222"\ntiers = { dev = { account = "222222222222" }, prod = {} }',
        'account = "222222222222"\ntiers.prod.services.api = { account = "222222222222", cpu = 1 }\n[tiers.dev]',
        'account = "222222222222"\n[tiers.dev]\n[tiers.prod]\n[tiers.prod.services.api]\naccount = "222222222222"',
        'account = """222222222222"""\n[tiers."dev"]\n"account" = \'222222222222\'\n[tiers.prod]',
        'account="222222222222"\r\n[ tiers . dev ]\r\n[tiers.prod]\r\nvars.a = [["222222222222"]]\r\n',
    ],
)
def test_no_way_of_writing_brings_the_other_account_along(mb: Path, text: str):
    write(mb, mb=text)
    found = tomllib.loads(new(mb, Asked("acme", ACME, like="mb")).text)
    assert "222222222222" not in json.dumps(found)
    assert (found["account"], {*found["tiers"]}) == (ACME, {"dev", "prod"})


def test_comments_and_names_of_variables_that_name_the_other_tenant_are_left_out(mb: Path):
    text = """\
account = "222222222222"
# what mb bought
region = "us-east-1" # of 222222222222
# kept
[vars] # as MB has it
zones = [
  "a", # mb's first
]
[env]
MB_URL = "https://example.com"
HOST = "https://MB.example.com"
[tiers.dev] # kept, too
"""
    write(mb, mb=text)
    copied = new(mb, Asked("acme", ACME, like="mb")).text.split("\n", 2)[2]
    assert [line for line in copied.splitlines() if line] == [
        *(f'account = "{ACME}"', 'region = "us-east-1"', "# kept", "[vars]", "zones = [", '  "a",', "]"),
        *("[env]", "# fill in: MB_URL = …", "# fill in: HOST = …", "[tiers.dev] # kept, too"),
    ]


KEYS = st.sampled_from(["account", "role", "cluster", "vars.a", "env.A", "tiers.dev.account", "tiers.dev.vars.b"])
VALUES = st.sampled_from(['"222222222222"', '"a:222222222222:b"', '["222222222222"]', '{ account = "222222222222" }'])


@given(st.dictionaries(KEYS, VALUES))
def test_what_a_copy_says_never_names_the_other_account(lines: dict[str, str]):
    text = "\n".join(f"{key} = {value}" for key, value in lines.items())
    pattern = Pattern("mb", f"{text}\n[tiers.prod]\n", frozenset({"222222222222"}))
    draft = like(Wanted("acme", ACME, ("dev", "prod")), pattern)
    assert "222222222222" not in json.dumps(tomllib.loads(draft.text))


@pytest.mark.parametrize(
    "text",
    [
        'account = "222222222222"\n[tiers.dev]',
        f'account = "{ACME}"\nvars.group = "arn:aws:x:us-east-1:222222222222:y"\n[tiers.dev]',
        f'account = "{ACME}"\n[tiers.dev]\n[tiers.prod]',
        f'account = "{ACME}"\n[tiers.dev]\naccount = "222222222222"',
        "[tiers.dev]",
    ],
)
def test_a_file_that_names_another_account_or_has_other_tiers_is_never_written(text: str):
    with pytest.raises(Invalid, match=r"envs/mb.toml: is written in a way that can't be copied safely"):
        guard(text, Wanted("acme", ACME, ("dev",)), Pattern("mb", "", frozenset({"222222222222"})))


def test_a_link_or_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path):
    file = tmp_path / "acme.toml"
    file.symlink_to(tmp_path / "gone")
    with pytest.raises(Invalid, match="is there already"):
        files.create(file, "new")
    assert [*tmp_path.iterdir()] == [file]


def test_a_file_that_can_not_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_replace", full)
    with pytest.raises(Failure, match="No space left on device\n    make room"):
        files.create(tmp_path / "acme.toml", "new")
    assert [*tmp_path.iterdir()] == []


def test_the_task_writes_the_file_and_says_what_is_left_and_what_comes_next(
    root: Path,  # noqa: F811 - the fixture
    capsys: pytest.CaptureFixture[str],
):
    words = ("envs.new", "acme", "--account", ACME, "--like", "mb")
    assert ran(root, *words, "--dry-run") == 0
    dry = capsys.readouterr().out
    assert not (root / "envs/acme.toml").exists()
    assert ran(root, *words) == 0
    text = (root / "envs/acme.toml").read_text()
    assert dry == f"{text}\nenvs/acme.toml: dry run: nothing was changed\n"
    assert text.startswith("#:schema ../.deploytasks/tenant.schema.json\n")
    assert capsys.readouterr().out == SAID
    filled = text.replace("# fill in: subnets = …", 'subnets = ["s"]')
    (root / "envs/acme.toml").write_text(filled.replace("# fill in: security_groups = …", 'security_groups = ["s"]'))
    assert ran(root, "envs.check") == 0


SAID = """\
envs/acme.toml: written, like mb
envs/acme.toml:11: vars.subnets: left out, since it names subnet-2a; fill it in if it is needed
envs/acme.toml:12: vars.security_groups: left out, since it names sg-2; fill it in if it is needed
templates/shared/service.j2:7: acme-dev/web, acme-staging/web, acme-prod/web: 'subnets' is not set
    known: port, timezone
templates/shared/service.j2:7: acme-dev/worker, acme-staging/worker, acme-prod/worker: 'subnets' is not set
    known: timezone
templates/nightly.schedule.json.j2:10: acme-dev/nightly, acme-staging/nightly, acme-prod/nightly: 'subnets' is not set
    known: timezone
next: fix that until inv envs.check finds nothing, commit it, then
  inv envs.rights --tenant acme : the policies of its roles
  inv envs.bootstrap : lets account 333333333333 pull the images
  inv deploy.dev --tenant acme
  inv deploy.staging --tenant acme
  inv deploy.prod --tenant acme
until its roles and clusters are there, release to the others by --exclude acme
"""
