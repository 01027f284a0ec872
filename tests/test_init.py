"""`python -m deploytasks init`: from what somebody has, even an empty folder, to files that are valid at once."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from invoke.program import Program

from deploytasks import namespace
from deploytasks.__main__ import main
from deploytasks.adoption import requirements
from deploytasks.adoption.releases import Place
from deploytasks.commands import envs_check, envs_schema
from deploytasks.config.load import load
from deploytasks.tasks import shell
from deploytasks.template.check import check_all
from tests import repositories
from tests.commands import Ran
from tests.template_stage import ROOT

SCAFFOLD = ROOT / "deploytasks/adoption/scaffold"
WRITTEN = [
    "envs/project.toml",
    "envs/main.toml",
    ".deploytasks/project.schema.json",
    ".deploytasks/tenant.schema.json",
    "templates/app.json.j2",
    "tasks.py",
    "requirements-deploy.txt",
    ".gitignore",
    "Makefile",
]


@dataclass
class Theirs:
    """Somebody's folder."""

    root: Path
    capture: Callable[[], tuple[str, str]]

    def init(self, *flags: str) -> Ran:
        """Run the verb there."""
        self.capture()
        with chdir(self.root):
            try:
                code = main(["init", *flags])
            except SystemExit as ended:  # argparse
                code = int(ended.code or 0)
        return Ran(code, *self.capture())

    def write(self, path: str, text: str = "FROM scratch\n") -> None:
        """Put a file there."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(text.encode("utf-8", "surrogateescape"))

    def git(self, *words: str) -> str:
        return repositories.run(self.root, *words)

    def files(self) -> dict[str, bytes]:
        """Return the content of each file by its path, without git's own."""
        found = (path for path in self.root.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}

    def check(self) -> list[str]:
        """Return what `inv envs.check` finds, notes included."""
        project = load(self.root)
        return [*map(str, check_all(project)), *map(str, envs_check.complaints(project)), *envs_schema.notes(self.root)]


@pytest.fixture
def empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Theirs:
    """A folder in which nothing is."""

    def capture() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    (tmp_path / "shop").mkdir()
    return Theirs(tmp_path / "shop", capture)


@pytest.fixture
def theirs(empty: Theirs) -> Theirs:
    """A git repository with a Dockerfile."""
    empty.git("init", "-q", "-b", "main")
    empty.write("Dockerfile", "FROM scratch\nEXPOSE 8080/tcp\n")
    empty.git("add", "-A")
    empty.git("commit", "-qm", "Begin")
    return empty


def test_an_empty_folder_is_enough_and_what_is_left_to_do_is_named(empty: Theirs):
    ran = empty.init("--yes")
    assert (ran.code, ran.stderr, empty.check()) == (0, "", [])
    assert list(empty.files()) and set(empty.files()) == set(WRITTEN)
    assert ran.stdout.splitlines() == [
        *(f"{path}: written" for path in WRITTEN),
        "fill in, or write:",
        "  envs/project.toml:8: the AWS account of the registry, which all tenants share",
        "  envs/main.toml:4: the AWS account of main",
        "  requirements-deploy.txt:3: an index that has this version, by a line --index-url; "
        "or let init --vendor copy the package",
        "  Dockerfile: missing, and the image is built from it",
        f"git: {empty.root} is not in a git repository",
        "    run inside a clone of the repository, or `git init` and commit: an image is named by its commit",
        "next:",
        "  inv envs.check",
        "  git init",
        "  git add envs .deploytasks templates tasks.py requirements-deploy.txt .gitignore Makefile",
        '  git commit -m "Release with deploytasks"',
        "  inv envs.rights",
        "  inv envs.bootstrap",
        "  note: first make the clusters and roles that envs/ names, and the ECS services "
        "(init --create-services writes templates that make them)",
        "  inv release.dev",
    ]


def test_what_was_told_need_not_be_filled_in(theirs: Theirs):
    ran = theirs.init("--yes", "--registry-account", "012345678922", "--tenants", "main=111111111111,mb=222222222222")
    left = ran.stdout[ran.stdout.index("fill in") : ran.stdout.index("next:")]
    assert [line.split(":")[0] for line in left.splitlines()[1:]] == ["  requirements-deploy.txt"]
    project = load(theirs.root)
    assert (project.name, project.registry.access.account) == ("shop", "012345678922")
    assert {each.environment.tenant: each.access.account for each in project.targets} == {
        "main": "111111111111",
        "mb": "222222222222",
    }


@pytest.mark.parametrize(
    "flags",
    [
        "",
        *(
            pytest.param(flags, marks=pytest.mark.slow)
            for flags in (
                "--tiers live --region eu-central-1",
                "--tiers a,b,c,d,e --tenants main,mb=222222222222,acme --create-services",
                "--services web=app,worker=app,cron --nox",
                "--images app=Dockerfile,side=Dockerfile --create-services",
            )
        ),
    ],
)
@pytest.mark.parametrize(
    ("ci", "file", "schema"),
    [
        ("github", ".github/workflows/deploytasks.yml", "vendor.github-workflows"),
        ("gitlab", ".gitlab-ci.yml", "vendor.gitlab-ci"),
    ],
)
def test_whatever_is_chosen_is_checked_and_valid_at_once(theirs: Theirs, flags: str, ci: str, file: str, schema: str):
    assert theirs.init("--yes", "--ci", ci, *flags.split()).code == 0
    assert theirs.check() == []
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", schema, theirs.root / file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("region", "partition", "audience"),
    [
        ("eu-central-1", "aws", None),
        ("cn-north-1", "aws-cn", "sts.amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", None),
    ],
)
def test_arns_and_tokens_are_of_the_regions_partition(
    theirs: Theirs, region: str, partition: str, audience: str | None
):
    assert theirs.init("--yes", "--ci", "github", "--region", region).code == 0
    assert theirs.check() == []
    texts = (
        text.decode() for path, text in theirs.files().items() if path.startswith(("envs/", "templates/", ".github/"))
    )
    assert {found for text in texts for found in re.findall("arn:([a-z-]+):", text)} == {partition}
    flow = yaml.safe_load((theirs.root / ".github/workflows/deploytasks.yml").read_text())
    assert flow["jobs"]["release-dev"]["steps"][-2]["with"].get("audience") == audience


def test_github_releases_main_to_the_first_tier_and_asks_its_environments_for_the_others(theirs: Theirs):
    theirs.init("--yes", "--ci", "github", "--registry-account", "012345678922")
    flow = yaml.safe_load((theirs.root / ".github/workflows/deploytasks.yml").read_text())
    jobs = flow["jobs"]
    assert flow[True] == {"pull_request": None, "push": {"branches": ["main"]}}
    assert flow["env"]["ROLE"] == "arn:aws:iam::012345678922:role/release"
    assert [(name, job.get("needs"), job.get("environment"), job.get("if")) for name, job in jobs.items()] == [
        ("check", None, None, None),
        ("release-dev", "check", "dev", "github.event_name == 'push'"),
        ("release-staging", "release-dev", "staging", None),
        ("release-prod", "release-staging", "prod", None),
    ]
    assert {name for name, job in jobs.items() if job.get("permissions", {}).get("id-token") == "write"} == {*jobs} - {
        "check"
    }
    assert [job["steps"][-1]["run"] for job in jobs.values()] == [
        "inv envs.check",
        "inv release.dev --lock-wait 15m",
        'inv release.staging --commit "$GITHUB_SHA" --lock-wait 15m',
        'inv release.prod --commit "$GITHUB_SHA" --lock-wait 15m',
    ]
    for job in jobs.values():
        assert job["steps"][0]["with"]["persist-credentials"] is False
        assert "pip install --requirement requirements-deploy.txt" in [step.get("run") for step in job["steps"]]


def test_gitlab_releases_the_default_branch_and_waits_for_somebody_to_start_the_others(theirs: Theirs):
    theirs.git("remote", "add", "origin", "git@gitlab.example.com:acme/shop.git")
    theirs.init("--yes")
    flow = yaml.safe_load((theirs.root / ".gitlab-ci.yml").read_text())
    assert flow[".release"]["id_tokens"] == {"AWS_TOKEN": {"aud": "https://gitlab.example.com"}}
    assert flow[".deploytasks"]["before_script"] == ["pip install --quiet --requirement requirements-deploy.txt"]
    main = "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"
    releases = {name: job for name, job in flow.items() if name.startswith("release-")}
    assert [(job["needs"], job["environment"], job["rules"]) for job in releases.values()] == [
        (["envs-check"], "dev", [{"if": main}]),
        (["release-dev"], "staging", [{"if": main, "when": "manual"}]),
        (["release-staging"], "prod", [{"if": main, "when": "manual"}]),
    ]
    assert [job["script"][-1] for job in releases.values()] == [
        "inv release.dev --lock-wait 15m",
        'inv release.staging --commit "$CI_COMMIT_SHA" --lock-wait 15m',
        'inv release.prod --commit "$CI_COMMIT_SHA" --lock-wait 15m',
    ]


@pytest.mark.parametrize(
    ("there", "remote", "ci"),
    [
        (".github/CODEOWNERS", "https://gitlab.com/acme/shop.git", ".github/workflows/deploytasks.yml"),
        (".gitlab-ci.yml", "git@github.com:acme/shop.git", ".gitlab/deploytasks.yml"),
        ("README.md", "git@github.com:acme/shop.git", ".github/workflows/deploytasks.yml"),
        ("README.md", "https://gitlab.acme.example/shop.git", ".gitlab-ci.yml"),
        ("README.md", "/srv/github/shop.git", ""),
    ],
)
def test_the_ci_system_is_found_by_its_files_then_by_the_remote(theirs: Theirs, there: str, remote: str, ci: str):
    theirs.write(there)
    theirs.git("remote", "add", "origin", remote)
    before = set(theirs.files())
    theirs.init("--yes")
    pipelines = {path for path in set(theirs.files()) - before if path.endswith(".yml")}
    assert pipelines == ({ci} if ci else set())


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("git@github.com:acme/Big_Shop.git", "big-shop"),
        ("https://user:secret@git.example.com/a/b.c/", "b-c"),
        ("shop.git", "shop"),
        ("git@github.com:acme/2048.git", "shop"),
    ],
)
def test_the_project_is_named_by_the_remote_else_by_the_folder(theirs: Theirs, remote: str, name: str):
    theirs.git("remote", "add", "origin", remote)
    theirs.init("--yes", "--ci", "none")
    assert load(theirs.root).name == name


def test_each_dockerfile_is_an_image_and_a_service_but_no_ignored_or_foreign_one(theirs: Theirs):
    for path in ("deploy/nginx/Dockerfile", "old/nginx/Dockerfile", "Dockerfile.worker", "all/Dockerfile"):
        theirs.write(path, "FROM scratch\nEXPOSE $PORT\n")
    for path in ("Dockerfile.dockerignore", "out/Dockerfile", "node_modules/x/Dockerfile", "a\n/Dockerfile"):
        theirs.write(path)
    theirs.write(".gitignore", "out/\n.venv\n__pycache__/\n")
    ran = theirs.init("--yes")
    assert theirs.check() == [] and ".gitignore: is there, and stays as it is; it has what is needed" in ran.stdout
    project = load(theirs.root)
    assert {image.name: (image.context, image.dockerfile) for image in project.images} == {
        "app": (".", "Dockerfile"),
        "worker": (".", "Dockerfile.worker"),
        "all-image": ("all", "Dockerfile"),
        "nginx": ("deploy/nginx", "Dockerfile"),
        "old-nginx": ("old/nginx", "Dockerfile"),
    }
    ports = {each.name: each.vars for each in project.targets if each.environment.tier == "dev"}
    assert ports["app"] == {"port": 8080} and ports["worker"] == {}


def test_a_dry_run_shows_all_and_writes_nothing(theirs: Theirs):
    before = theirs.files()
    ran = theirs.init("--yes", "--nox", "--vendor", "--dry-run")
    assert (ran.code, theirs.files()) == (0, before)
    assert "noxfile.py: would be written" in ran.stdout
    assert ran.stdout.endswith("dry run: nothing was changed\n")


def test_a_vendored_copy_is_made_and_what_it_needs_is_listed(theirs: Theirs):
    ran = theirs.init("--yes", "--vendor")
    assert ran.code == 0 and "deploytasks/ is a copy of version" in ran.stdout
    assert (theirs.root / "deploytasks/vendored.json").is_file()
    lines = (theirs.root / "requirements-deploy.txt").read_text().splitlines()
    assert any(line.startswith("boto3") for line in lines) and not any(line.startswith("deploytasks") for line in lines)
    assert re.search(r"git add .* deploytasks$", ran.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("how", "origin", "expected"),
    [
        ("installed", {}, requirements.Requirements(("deploytasks==1.0",))),
        (
            "installed",
            {"url": "https://git.example/d.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            requirements.Requirements(("deploytasks @ git+https://git.example/d.git@c0ffee",)),
        ),
        (
            "installed",
            {"url": "file:///d.whl", "archive_info": {}},
            requirements.Requirements(("deploytasks==1.0",), nowhere=True),
        ),
        (
            "editable",
            {"url": "file:///d", "dir_info": {}},
            requirements.Requirements(("deploytasks==1.0",), nowhere=True),
        ),
        ("unstamped", {}, requirements.Requirements(("deploytasks==1.0",), nowhere=True)),
    ],
)
def test_the_package_is_pinned_to_where_pip_gets_it_again(how, origin, expected):
    assert requirements.of_package(Place("1.0", Path("/d"), how, origin=origin)) == expected


KEPT = {
    "Makefile": ("all:\n\techo mine\n", "the wrappers: make -f deploytasks.mk help", "deploytasks.mk"),
    ".gitignore": ("build/\r\n.venv/\r\n", "add to it: __pycache__/ .nox/", None),
    ".gitlab-ci.yml": (
        "# \udcff\n",
        "add to it: include: [{local: /.gitlab/deploytasks.yml}]",
        ".gitlab/deploytasks.yml",
    ),
    "tasks.py": (
        "",
        "add to it: from pathlib import Path; from deploytasks import namespace; "
        "ns = namespace(Path(__file__).parent); and ns.add_task(NAME) for each task of its own "
        "(docs/own-task.md in deploytasks' own repository)",
        None,
    ),
    "noxfile.py": ("import nox\n", "add to it: from deploytasks.nox import sessions; sessions(globals())", None),
    "templates/app.json.j2": ("{}", "to have it written anew, remove it and run init again", None),
    ".deploytasks/tenant.schema.json": ("{}", "inv envs.schema writes this version's", None),
}


def test_nothing_that_is_there_is_changed_and_it_is_said_what_to_add(theirs: Theirs):
    for path, (text, _, _) in KEPT.items():
        theirs.write(path, text)
    before = theirs.files()
    ran = theirs.init("--yes", "--nox")
    assert before.items() <= theirs.files().items()
    for path, (_, advice, instead) in KEPT.items():
        assert f"{path}: is there, and stays as it is; {advice}\n" in ran.stdout
        assert not instead or f"{instead}: written\n" in ran.stdout
        to_add = f"  {path}: add {advice.removeprefix('add to it: ')}\n"
        assert (to_add in ran.stdout.partition("fill in, or write:\n")[2]) == advice.startswith("add to it")
    (added,) = re.findall(r"git add (.*)", ran.stdout)
    assert set(added.split()).isdisjoint({*KEPT, ".deploytasks", "templates"})


def test_what_templates_of_services_need_is_named_if_the_tenants_file_was_there_before(theirs: Theirs):
    theirs.init("--yes")
    ran = theirs.init("--yes", "--create-services")
    lacks = 'envs/main.toml: add subnets = ["subnet-…"] and security_groups = ["sg-…"] in [vars], unless'
    assert f"\n  {lacks} envs/project.toml has them\n" in ran.stdout.partition("fill in, or write:")[2]


def test_what_is_still_to_be_filled_in_is_noted_by_envs_check(theirs: Theirs):
    theirs.init("--yes", "--tenants", "main=111111111111", "--ci", "gitlab")
    (theirs.root / "Dockerfile").unlink()
    theirs.capture()
    Program(namespace=namespace(theirs.root)).run(["inv", "envs.check"], exit=False)
    assert theirs.capture()[0].splitlines() == [
        "envs/project.toml:8: still to be filled in: the AWS account of the registry, which all tenants share",
        "requirements-deploy.txt:3: still to be filled in: an index that has this version, by a line --index-url; "
        "or let init --vendor copy the package",
        ".gitlab-ci.yml:18: still to be filled in: the AWS account of the registry, and the role of CI",
        "images.app: there is no Dockerfile in ., so it can't be built here",
        "3 environments, 3 targets: all good",
    ]


def test_the_wrappers_beside_an_own_makefile_work(theirs: Theirs):
    theirs.write("Makefile", "all:\n")
    theirs.init("--yes")
    done = subprocess.run(["make", "-f", "deploytasks.mk"], cwd=theirs.root, capture_output=True, text=True, check=True)
    assert "make release-<tier>" in done.stdout


def test_a_second_run_writes_nothing_and_takes_the_answers_from_the_files(theirs: Theirs):
    theirs.init("--yes", "--project", "other", "--tiers", "a,b", "--tenants", "mb=222222222222", "--ci", "gitlab")
    for path in theirs.files():  # as git's autocrlf leaves them
        (theirs.root / path).write_bytes((theirs.root / path).read_bytes().replace(b"\n", b"\r\n"))
    before = theirs.files()
    ran = theirs.init("--yes", "--ci", "gitlab")
    assert (ran.code, theirs.files()) == (0, before)
    assert "stays as it is" not in ran.stdout
    assert "written" not in ran.stdout.replace("would be written", "").replace("is written anew", "")
    assert ran.stdout.endswith("  inv release.a\n")


@pytest.mark.parametrize("step", [0, 1, 5, len(WRITTEN) - 1])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device", "there")])
def test_a_run_that_ended_half_way_is_mended_by_the_next(theirs: Theirs, monkeypatch, step, error):
    with monkeypatch.context() as broken:
        breaks_at(broken, "rename", step, error)
        ran = theirs.init("--yes", "--tiers", "a,b")
    assert (ran.code, len(theirs.files())) == (130 if error is KeyboardInterrupt else 1, 1 + step)
    assert not ran.stderr.startswith("inv") and "it goes on from here" not in ran.stderr
    assert "run it again" in ran.stderr or "run the same command again" in ran.stderr
    assert theirs.init("--yes", "--tiers", "a,b").code == 0
    assert theirs.check() == [] and {*theirs.files()} == {*WRITTEN, "Dockerfile"}


@pytest.mark.parametrize("step", [0, 4])
def test_a_full_disk_is_found_before_anything_is_in_its_place(theirs: Theirs, monkeypatch, step: int):
    with monkeypatch.context() as broken:
        breaks_at(broken, "write_bytes", step, OSError(errno.ENOSPC, "No space left on device"))
        ran = theirs.init("--yes")
    assert (ran.code, set(theirs.files())) == (2, {"Dockerfile"})
    assert ran.stderr.startswith(f"{theirs.root}/.deploytasks-init: No space left on device\n    ")


def breaks_at(monkeypatch: pytest.MonkeyPatch, name: str, step: int, error) -> None:
    real, calls = getattr(Path, name), iter(range(99))

    def broken(self: Path, *given: object):
        if next(calls) == step:
            raise error
        return real(self, *given)

    monkeypatch.setattr(Path, name, broken)


def test_what_a_killed_run_left_is_removed(theirs: Theirs):
    theirs.write(".deploytasks-init/3", "half")
    assert theirs.git("status", "--short") == "?? .deploytasks-init/"
    assert theirs.init("--yes").code == 0
    assert not (theirs.root / ".deploytasks-init").exists()


WRONG = [
    ("--project Shop!", "--project: 'Shop!' is not valid", "lower-case letters, digits and dashes, a letter first"),
    ("--project=", "--project: '' is not valid", "lower-case"),
    ("--registry-account 1234", "--registry-account: '1234' is not valid", "the 12 digits of an AWS account"),
    ("--region Frankfurt", "--region: 'Frankfurt' is not valid", "one that AWS has, such as us-east-1"),
    ("--region us-est-1", "--region: 'us-est-1' is not valid", "one that AWS has, such as us-east-1"),
    ("--tiers a,b,c,d,e,f", "--tiers: 'a,b,c,d,e,f' is not valid", "at most 5 tiers"),
    ("--tiers dev,dev", "--tiers: 'dev,dev' is not valid", "names that differ"),
    ("--tiers dev,list", "--tiers: 'dev,list' is not valid", "no other task's name, such as list or history"),
    ("--tiers dev,", "--tiers: 'dev,' is not valid", "lower-case"),
    ("--tenants project", "--tenants: 'project' is not valid", "lower-case letters, digits and dashes"),
    ("--tenants main=12", "--tenants: 'main=12' is not valid", "the 12 digits of an AWS account after each ="),
    (
        "--images app=../Dockerfile",
        "--images: 'app=../Dockerfile' is not valid",
        "the path of a Dockerfile that is there",
    ),
    ("--images app=none", "--images: 'app=none' is not valid", "the path of a Dockerfile that is there"),
    ("--images all=Dockerfile", "--images: 'all=Dockerfile' is not valid", "lower-case"),
    ("--services web=ap", "--services: 'web=ap' is not valid", "after each = one of the images: app"),
    ("--ci jenkins", "--ci: 'jenkins' is not valid", "github, gitlab or none"),
]


@pytest.mark.parametrize(("flags", "what", "to_do"), WRONG, ids=[flags for flags, _, _ in WRONG])
def test_an_answer_that_cannot_be_is_refused_with_what_is_wanted(theirs: Theirs, flags: str, what: str, to_do: str):
    ran = theirs.init("--yes", *flags.split())
    assert (ran.code, set(theirs.files())) == (2, {"Dockerfile"})
    assert ran.stderr.startswith(f"{what}\n    wanted: ") and to_do in ran.stderr


def test_the_flags_of_the_first_run_may_be_given_again_however_they_are_written(theirs: Theirs):
    flags = ["--yes", "--tiers", "dev, prod", "--images", "api=./Dockerfile", "--services", "web=api,worker"]
    assert [theirs.init(*flags).code, theirs.init(*flags).code, theirs.check()] == [0, 0, []]
    assert theirs.init("--yes", "--services", "web=api").code == 2


def test_a_path_that_no_answer_can_name_is_passed_over_and_each_other_dockerfile_has_a_name(theirs: Theirs):
    theirs.write("a,b/Dockerfile")
    theirs.write(" blank/Dockerfile")
    for number in range(120):
        theirs.write(f"{chr(0x4E00 + number)}/Dockerfile")
    assert theirs.init("--yes").code == 0
    assert len(load(theirs.root).images) == 121


@pytest.mark.parametrize(
    ("ci", "file"), [("github", ".github/workflows/deploytasks.yml"), ("gitlab", ".gitlab-ci.yml")]
)
def test_a_tier_whose_name_means_something_in_yaml_is_a_name_in_the_pipeline(theirs: Theirs, ci: str, file: str):
    tiers = ["on", "yes", "null", "true", "y"]
    assert theirs.init("--yes", "--ci", ci, "--tiers", ",".join(tiers)).code == 0
    jobs = yaml.safe_load((theirs.root / file).read_text())
    jobs = jobs.get("jobs", jobs)
    assert [jobs[f"release-{tier}"]["environment"] for tier in tiers] == tiers


def test_all_wrong_answers_are_told_at_once(theirs: Theirs):
    ran = theirs.init("--project", "A", "--region", "B", "--ci", "C")
    assert re.findall(r"^--[a-z]+", ran.stderr, re.MULTILINE) == ["--project", "--region", "--ci"]


def test_without_a_terminal_it_says_what_it_would_ask(theirs: Theirs):
    ran = theirs.init("--project", "shop", "--tenants", "main")
    assert (ran.code, set(theirs.files())) == (2, {"Dockerfile"})
    assert ran.stderr == (
        "init: there is no terminal to ask on, or its input has ended\n"
        "    give these flags, or take the defaults by --yes: --registry-account 999999999999 --region us-east-1 "
        "--tiers dev,staging,prod --services app=app --ci none\n"
    )


def test_at_a_terminal_it_asks_a_few_questions_and_again_where_an_answer_cannot_be(theirs: Theirs, monkeypatch):
    theirs.write("side/Dockerfile")
    answers = iter(["", "12", "012345678922", "", "dev,prod", "main=111111111111", "", "web=app", "", "none"])
    asked = []

    def ask_for(question: str) -> str:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(shell, "ask_for", ask_for)
    assert theirs.init().code == 0
    assert asked == [
        "the project's name [shop]: ",
        "the AWS account of the ECR registry [999999999999]: ",
        "wanted: the 12 digits of an AWS account; the AWS account of the ECR registry [999999999999]: ",
        "the AWS region [us-east-1]: ",
        "the tiers, in the order of promotion [dev,staging,prod]: ",
        "the tenants and their AWS accounts, such as main=111111111111,mb=222222222222 [main]: ",
        "the images and their Dockerfiles, such as app=Dockerfile,nginx=deploy/nginx/Dockerfile "
        "[app=Dockerfile,side=side/Dockerfile]: ",
        "the services and their images, such as web=app,worker=app [app=app,side=side]: ",
        "wanted: a service for each image: none runs side; "
        "the services and their images, such as web=app,worker=app [app=app,side=side]: ",
        "the CI system: github, gitlab, none [none]: ",
    ]
    assert [tier.name for tier in load(theirs.root).tiers] == ["dev", "prod"]


@pytest.mark.slow
def test_at_a_real_terminal_a_command_to_copy_stays_on_one_line(theirs: Theirs):
    ours, terminal = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "60"}
    command = [sys.executable, "-m", "deploytasks", "init", "--services", "app"]
    with subprocess.Popen(command, cwd=theirs.root, env=environment, stdin=terminal, stdout=terminal, stderr=terminal):
        os.close(terminal)
        os.write(ours, b"\n\n\n\n\n\n")
        said = read_all(ours).replace("\r", "")
    assert "the AWS region [us-east-1]: " in said
    assert "\n  git add envs .deploytasks templates tasks.py requirements-deploy.txt .gitignore Makefile\n" in said


def read_all(terminal: int) -> str:
    """Return what is shown there until nobody has it open."""
    said = b""
    with suppress(OSError):  # as Linux tells the end
        while part := os.read(terminal, 4096):
            said += part
    os.close(terminal)
    return said.decode()


def blocked(kind: str, root: Path) -> None:
    match kind:
        case "a file where a folder should be":
            (root / "templates").write_text("")
        case "a folder where a file should be":
            (root / "tasks.py").mkdir()
        case "a link out of the repository":
            (root.parent / "outside").mkdir()
            (root.parent / "outside/project.toml").write_text("not to be read")
            (root / "envs").symlink_to("../outside")
        case "a link to nothing":
            (root / "Makefile").symlink_to("nowhere")
        case "a pipe":
            os.mkfifo(root / "tasks.py")
        case "a link to a device":
            (root / "Makefile").symlink_to(os.devnull)
        case "a copy without a stamp":
            (root / "deploytasks").mkdir()


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (
            "a file where a folder should be",
            "templates: is not a folder, and files are to be written into it\n    move",
        ),
        ("a folder where a file should be", "tasks.py: is a folder, and a file is to be written there\n    move it"),
        ("a link out of the repository", "envs: leads out of the repository, to {outside}\n    put a folder in"),
        ("a link to nothing", "Makefile: is a link that leads nowhere\n    remove it"),
        ("a pipe", "tasks.py: is a device, a pipe or a socket, and no file\n    move it"),
        ("a link to a device", "Makefile: is a device, a pipe or a socket, and no file\n    move it"),
        ("a copy without a stamp", "{root}/deploytasks: something of this name is there\n    it has no stamp"),
    ],
)
def test_what_is_in_the_way_is_named_and_nothing_is_half_written(theirs: Theirs, kind: str, what: str):
    blocked(kind, theirs.root)
    before = theirs.files()
    ran = theirs.init("--yes", "--vendor")
    assert (ran.code, theirs.files()) == (2, before)
    assert ran.stderr.startswith(what.format(outside=theirs.root.parent / "outside", root=theirs.root))


@pytest.mark.parametrize("verb", ["init --yes", "upgrade", "version"])
def test_a_folder_that_was_removed_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str):
    (tmp_path / "gone").mkdir()
    before = os.open(".", os.O_RDONLY)
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    try:
        assert main(verb.split()) == 2
    finally:
        os.fchdir(before)
        os.close(before)
    assert capsys.readouterr().err == "the present folder: it was removed\n    go to one that is there: cd\n"


def test_a_folder_that_may_not_be_written_to_is_named(theirs: Theirs, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != theirs.root)  # root may write anywhere
    ran = theirs.init("--yes")
    assert (ran.code, set(theirs.files())) == (2, {"Dockerfile"})
    assert ran.stderr == f"{theirs.root}: is not writable\n    make it a folder that you may write to\n"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[project\n", "envs/project.toml:1: is not TOML: "),
        ("\udcff", "envs/project.toml:1: is not UTF-8"),
        ('[project]\nname = "shop"\n', "envs/project.toml: registry.account: is missing"),
    ],
)
def test_a_project_file_that_is_half_written_is_to_be_mended_first(theirs: Theirs, text: str, what: str):
    theirs.write("envs/project.toml", text)
    before = theirs.files()
    ran = theirs.init("--yes")
    assert (ran.code, theirs.files()) == (2, before)
    assert what in ran.stderr


def test_a_flag_that_the_project_file_contradicts_is_refused(theirs: Theirs):
    theirs.init("--yes")
    ran = theirs.init("--yes", "--project", "other")
    assert (ran.code, ran.stderr) == (
        2,
        "--project: 'other' is not what envs/project.toml says: shop\n    leave the flag out, or edit that file\n",
    )


def test_a_dirty_repository_is_no_obstacle_and_its_changes_are_not_committed(theirs: Theirs):
    theirs.write("Dockerfile", "FROM scratch\nEXPOSE 9090\n")
    theirs.write("draft.txt")
    ran = theirs.init("--yes")
    assert "  note: changed too, and not by init: Dockerfile\n" in ran.stdout
    (added,) = re.findall(r"git add (.*)", ran.stdout)
    theirs.git("add", *added.split())
    assert theirs.git("status", "--short", "Dockerfile", "draft.txt") == "M Dockerfile\n?? draft.txt"


def test_below_the_top_of_the_repository_no_pipeline_is_written_for_ci_would_not_find_it(theirs: Theirs):
    theirs.write("services/shop/Dockerfile")
    theirs.git("remote", "add", "origin", "git@github.com:acme/shop.git")
    below = Theirs(theirs.root / "services/shop", theirs.capture)
    ran = below.init("--yes", "--ci", "github")
    assert (ran.code, ran.stderr) == (
        2,
        f"--ci: 'github' is not valid\n    wanted: none here: CI reads its files from {theirs.root} alone, "
        "so write them there\n",
    )
    ran = below.init("--yes")
    assert (
        f"\n  a pipeline in {theirs.root}: CI reads its files from there alone, so none is written here\n" in ran.stdout
    )
    assert below.check() == [] and not any(path.endswith(".yml") for path in below.files())


def test_without_git_it_works_and_says_that_git_is_needed(theirs: Theirs, monkeypatch):
    monkeypatch.setenv("PATH", "")
    ran = theirs.init("--yes")
    assert ran.code == 0
    assert "\ngit: git is not installed\n    install it: `apt-get install git`" in ran.stdout


def test_the_makefile_and_tasks_py_are_this_repositorys_own():
    for name, own in {"Makefile": "Makefile", "tasks.py.j2": "tasks.py"}.items():
        assert (SCAFFOLD / name).read_bytes() == (ROOT / own).read_bytes(), f"cp {own} {SCAFFOLD / name}"
