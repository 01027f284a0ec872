"""Every key is checked; each complaint carries file, line, dotted key, and what to do."""

import pytest

from tests.envs_files import FILLED, MB, PROJECT, only_target, refusal

MORE = MB + "[tiers.prod.services.api]\n"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            "account = 222222222222",
            'the 12 digits of an AWS account, in quotes\n    quote it: account = "222222222222"',
        ),
        ('account = "2222"', "the 12 digits of an AWS account, in quotes"),
        (r'account = "222222222222\n"', "the 12 digits of an AWS account, in quotes"),
        ('account = "٢٢٢٢٢٢٢٢٢٢٢٢"', "the 12 digits of an AWS account, in quotes"),
        (
            'region = "us-east"',
            "an AWS region, such as \"us-east-1\"\n    did you mean 'us-east-1'?\n"
            "    a region newer than the installed botocore: pip install -U boto3",
        ),
        ('profile = ""', "text, not empty, no blanks around it"),
        ('profile = " mb"', "text, not empty, no blanks around it"),
        ('role = "deploy"', f'a role\'s ARN, such as "arn:aws:iam::222222222222:role/deploy"{FILLED}'),
        ('external_id = "x"', "the external id that the role's trust policy asks for"),
        ('family = "{tenant}"', "at most 255 letters, digits, _ and -; no placeholders"),
        ("wave = 0", "a whole number, 1 or more"),
        ("wave = true", "a whole number, 1 or more"),
        ('wave = "2"', "a whole number, 1 or more"),
        ("cpu = 0", 'a whole number, or text as ECS takes it: 1024, "1 vCPU", "2 GB"'),
        ("cpu = 0.5", 'a whole number, or text as ECS takes it: 1024, "1 vCPU", "2 GB"'),
        ('memory = "much"', 'a whole number, or text as ECS takes it: 1024, "1 vCPU", "2 GB"'),
        ("absent = 1", "true or false"),
        ("env = 3", "a table"),
        ('services = ["api"]', "a table"),
        ("env.X = true", "text in quotes, a whole number, or false to remove an inherited one"),
        ("env.X = 1.10", 'text in quotes, a whole number, or false to remove an inherited one\n    quote it: X = "…"'),
        (
            "env.X = 2020-11-12",
            'text in quotes, a whole number, or false to remove an inherited one\n    quote it: X = "2020-11-12"',
        ),
        (
            "secrets.X = 5",
            f"a secret's or parameter's ARN, a parameter's name, or false to remove an inherited one{FILLED}\n"
            '    quote it: X = "…"',
        ),
        ('env.X = ["a"]', "text in quotes, a whole number, or false to remove an inherited one"),
        (
            "vars.since = 2020-11-12",
            "text, finite numbers, true, false, lists and tables; put a date in quotes\n"
            '    quote it: since = "2020-11-12"',
        ),
        ("vars.deep = { x = [nan] }", "text, finite numbers, true, false, lists and tables; put a date in quotes"),
    ],
)
def test_a_wrong_value_is_told_what_is_wanted(tmp_path, line, wanted):
    key = line.partition(" =")[0]
    kept = "\n".join(each for each in MORE.splitlines() if not each.startswith(f"{key} "))
    said = refusal(tmp_path, mb=f"{line}\n{kept}")
    assert said.startswith(f"envs/mb.toml:1: {key}: can't be ")
    assert said.endswith(f"\n    wanted: {wanted}")
    assert said.count("envs/") == 1


@pytest.mark.parametrize("name", ["{tenant", "a}", "a b", "", "{}", "{\u0442ier}"])
def test_letters_digits_and_placeholders_stand_in_a_cluster(tmp_path, name):
    said = refusal(tmp_path, mb=MB.replace("{tenant}-{tier}", name))
    assert said == f'envs/mb.toml:3: cluster: can\'t be "{name}"\n    wanted: letters, digits, _ and -{FILLED}'


def test_what_stands_under_secrets_is_never_shown(tmp_path):
    said = refusal(tmp_path, mb='secrets.DB = "postgres://u:hunter2@db"\n' + MB)
    assert said == (
        "envs/mb.toml:1: secrets.DB: can't be this\n"
        f"    wanted: a secret's or parameter's ARN, a parameter's name, or false to remove an inherited one{FILLED}"
    )


@pytest.mark.parametrize(
    "value",
    [
        "arn:aws:secretsmanager:us-east-1:222222222222:secret:db-AbCdEf:password::",
        "arn:aws-cn:ssm:cn-north-1:222222222222:parameter/db",
        "/shop/prod/db",
        "db.url",
    ],
)
def test_a_secret_is_named_by_arn_or_parameter(tmp_path, value):
    assert only_target(tmp_path, mb=f'secrets.DB = "{value}"\n{MB}').secrets == {"DB": value}


@pytest.mark.parametrize("value", ["arn:aws:s3:::bucket", "arn:aws:ssm", "pass word", "a=b", ""])
def test_anything_else_is_no_secrets_name(tmp_path, value):
    assert "secrets.DB: can't be this" in refusal(tmp_path, mb=f'secrets.DB = "{value}"\n{MB}')


@pytest.mark.parametrize("line", ["secrets.DB = true", 'secrets."D B" = "x"', 'env."A=B" = "x"', 'env."" = "x"'])
def test_names_of_variables_are_checked(tmp_path, line):
    assert refusal(tmp_path, mb=f"{line}\n{MB}").startswith("envs/mb.toml:1: ")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "[tiers.prod]\n",
            "[tiers.prod]\ncpus = 1\n",
            "envs/mb.toml:6: tiers.prod: unknown key 'cpus'\n    did you mean 'cpu'?",
        ),
        ("", 'acount = "1"\n', "envs/mb.toml:1: unknown key 'acount'\n    did you mean 'account'?"),
        (
            "[tiers.prod]\n",
            "[tiers.prod.services.api]\ncpus = 1\n",
            "envs/mb.toml:6: tiers.prod.services.api: unknown key 'cpus'\n    did you mean 'cpu'?",
        ),
        (
            "[tiers.prod]\n",
            "[tiers.prod]\nservices.api.desired_port = 8080\n",
            "envs/mb.toml:6: tiers.prod.services.api: unknown key 'desired_port'\n"
            "    what a template wants belongs under vars: write vars.desired_port",
        ),
        (
            "[tiers.prod]\n",
            '[tiers.prod]\ntimeout = "5m"\n',
            "envs/mb.toml:6: tiers.prod: unknown key 'timeout'\n"
            "    a tier's policy belongs only in envs/project.toml, under [tiers.<tier>]",
        ),
        (
            "",
            'pin = "tag"\n',
            "envs/mb.toml:1: unknown key 'pin'\n"
            "    a tier's policy belongs only in envs/project.toml, under [tiers.<tier>]",
        ),
        (
            "[tiers.prod]\n",
            '[services.api]\ncontext = "x"\n[tiers.prod]\n',
            "envs/mb.toml:6: services.api: unknown key 'context'\n"
            "    how an image is built belongs only in envs/project.toml, under [images.<image>]",
        ),
        (
            "[tiers.prod]\n",
            '[services.api]\nafter = ["db"]\n[tiers.prod]\n',
            "envs/mb.toml:6: services.api: unknown key 'after'\n"
            "    what a service runs belongs only in envs/project.toml, under [services.<service>]",
        ),
        (
            "[tiers.prod]\n",
            "[tiers.prod.settings]\ncpu = 1\n",
            "envs/mb.toml:5: tiers.prod: unknown key 'settings'\n"
            "    settings belong here directly, without a table of that name",
        ),
        (
            "",
            "registry.x = 1\n",
            "envs/mb.toml:1: unknown key 'registry'\n    [registry] belongs only in envs/project.toml",
        ),
        (
            "[tiers.prod]\n",
            "[tiers.prod.services.api.services.x]\n",
            "envs/mb.toml:5: tiers.prod.services.api: unknown key 'services'\n"
            "    services have no services of their own",
        ),
    ],
)
def test_an_unknown_key_of_a_tenant_is_told_where_it_belongs(tmp_path, old, new, said):
    assert refusal(tmp_path, mb=MB.replace(old, new, 1)).startswith(said)


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (
            "cpu = 1",
            "envs/project.toml:13: tiers.prod: unknown key 'cpu'\n"
            "    a tier's settings belong under [tiers.<tier>.settings]: write settings.cpu",
        ),
        (
            "[services.web]\ncpu = 1",
            "envs/project.toml:14: services.web: unknown key 'cpu'\n"
            "    a service's settings belong in a layer, such as [defaults.services.<service>]",
        ),
        ("[defaults]\nenvs.X = 1", "envs/project.toml:14: defaults: unknown key 'envs'\n    did you mean 'env'?"),
        ("[env]", "envs/project.toml:13: unknown key 'env'\n    settings of every environment belong under [defaults]"),
        (
            "[zebra]",
            "envs/project.toml:13: unknown key 'zebra'\n"
            "    known: project, registry, images, services, jobs, tiers, defaults, notify",
        ),
    ],
)
def test_an_unknown_key_of_the_project_is_told_where_it_belongs(tmp_path, added, said):
    assert refusal(tmp_path, PROJECT + added) == said


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"shop"', '"Shop"', "project.name"),
        ('"shop"', '"a/b"', "project.name"),
        ('"000000000000"', '"0"', "registry.account"),
        ('"mutable"', '"movable"', "tiers.dev.tag"),
        ('after = "dev"', 'after = "dev"\npin = "none"', "tiers.prod.pin"),
        ('after = "dev"', 'after = "dev"\nparallel = 0', "tiers.prod.parallel"),
        ('after = "dev"', 'after = "dev"\ntimeout = "20"', "tiers.prod.timeout"),
        ('after = "dev"', 'after = "dev"\ntimeout = 20', "tiers.prod.timeout"),
        ('after = "dev"', 'after = "dev"\ntimeout = ""', "tiers.prod.timeout"),
        ('after = "dev"', 'after = "dev"\nsoak = "1m1h"', "tiers.prod.soak"),
        ('after = "dev"', 'after = "dev"\non_failure = "retry"', "tiers.prod.on_failure"),
        ("[images.api]", "[images.api]\nplatforms = []", "images.api.platforms"),
        ("[images.api]", '[images.api]\nplatforms = "linux/amd64"', "images.api.platforms"),
        ("[images.api]", '[images.api]\nbuilder = "kaniko"', "images.api.builder"),
        ("[services.api]", "[services.api]\nbefore_deploy = [[]]", "services.api.before_deploy"),
        ("[services.api]", '[services.api]\nbefore_deploy = ["./manage migrate"]', "services.api.before_deploy"),
        ("[images.api]", '[images.api]\nrepository = "Shop/API"', "images.api.repository"),
        ("[images.api]", 'host = "https://x"\n[images.api]', "registry.host"),
        ("[services.api]", "[services]\napi = 1", "services.api"),
    ],
)
def test_each_key_of_the_project_has_its_grammar(tmp_path, old, new, key):
    said = refusal(tmp_path, PROJECT.replace(old, new, 1))
    assert f": {key}: can't be " in said
    assert said.count("envs/") == 1


@pytest.mark.parametrize("kind", ["images", "services", "tiers"])
@pytest.mark.parametrize("name", ["Api", "a_b", "1a", "a/b", "a" * 64])
def test_a_name_that_would_be_illegal_somewhere_in_aws_is_refused(tmp_path, kind, name):
    added = f'[{kind}."{name}"]\n' + ('tag = "mutable"\nafter = "prod"\n' if kind == "tiers" else "")
    said = refusal(tmp_path, PROJECT + added)
    assert f"envs/project.toml:13: {kind}: '{name}' can't be a name here\n    wanted: lower-case letters" in said


def test_a_required_key_that_is_missing_is_named_at_its_table(tmp_path):
    said = refusal(tmp_path, PROJECT.replace('tag = "mutable"\n', "").replace('name = "shop"\n', ""))
    assert "envs/project.toml:1: project.name: is missing" in said
    assert 'envs/project.toml:7: tiers.dev.tag: is missing\n    wanted: "mutable" or "immutable"' in said


def test_a_wrong_or_mistyped_key_is_not_missing_too(tmp_path):
    mistyped = refusal(tmp_path, mb=MB.replace("account", "acount"))
    wrong = refusal(tmp_path, mb=MB.replace('"222222222222"', "2"))
    assert mistyped.count("envs/mb.toml") == wrong.count("envs/mb.toml") == 1


def test_all_complaints_of_all_files_come_at_once_sorted_by_file_and_line(tmp_path):
    project = PROJECT.replace('"mutable"', '"movable"') + '[tiers.last]\ntag = "mutable"\nafter = "nowhere"\n'
    mb = MB.replace("us-east-1", "moon") + "cpus = 1\n[tiers.qa]\n"
    said = [line for line in refusal(tmp_path, project, mb=mb, acme="wave = 0\n" + MB).splitlines() if line[0] != " "]
    assert said == [
        "envs/acme.toml:1: wave: can't be 0",
        'envs/mb.toml:2: region: can\'t be "moon"',
        "envs/mb.toml:6: tiers.prod: unknown key 'cpus'",
        "envs/mb.toml:7: tiers.qa: there is no tier 'qa' in envs/project.toml",
        'envs/project.toml:9: tiers.dev.tag: can\'t be "movable"',
        "envs/project.toml:15: tiers.last.after: there is no tier 'nowhere'",
    ]


def test_a_long_wrong_value_is_cut(tmp_path):
    assert "…\n" in refusal(tmp_path, mb=f'role = "{"x" * 500}"\n{MB}')
