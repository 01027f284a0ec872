"""What TAB offers for `inv`, asked of the function that the shells' scripts run."""

import os
import resource
import shlex
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program
from invoke.tasks import Task

from deploytasks import namespace
from deploytasks.adoption import completion
from deploytasks.completion import seen, tab
from deploytasks.completion.tab import FILES, INVOKE, MORE, NOTHING, WORDS, answer
from deploytasks.tasks import seen as remembered
from tests.commands import Shop
from tests.envs_files import MB, PROJECT, write
from tests.terminals import REPOSITORY

CORE = " ".join(seen.typed(Program().initial_context))
TASKS = "from pathlib import Path\nfrom deploytasks import namespace\nns = namespace(Path(__file__).parent)\n"
JOB = '[jobs.nightly]\n[images.nginx]\n[services.web]\nimage = "api"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    write(folder, PROJECT + JOB, main=MB, mb=MB, acme="[tiers.prod]\n")
    (folder / "tasks.py").write_text(TASKS)
    return folder


def asked(root: Path, *words: str, shell: str = "zsh", breaks: str = "") -> tuple[int, list[str]]:
    """The exit code and the words that are offered."""
    with chdir(root):
        code, text = answer([shell, breaks, CORE, *(["inv", *words] if shell == "zsh" else words)])
    return code, text.splitlines()


def offered(root: Path, line: str) -> list[str]:
    """The words that are offered for the line, whose last word is the one to complete."""
    return asked(root, *line.split(" "))[1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("deploy.prod --tenant ", ["main", "acme", "mb"]),
        ("deploy.prod --tenant m", ["main", "mb"]),
        ("deploy.prod --tenant mb,", ["mb,main", "mb,acme"]),
        ("deploy.prod --tenant=mb,a", ["--tenant=mb,acme"]),
        ("deploy.prod --tenant mb,acme,main,", []),
        ("deploy.prod --exclude a", ["acme"]),
        ("deploy.prod --service ", ["api", "web", "nightly"]),
        ("deploy.run prod --job ", ["nightly"]),
        ("tag.list --image ", ["api", "nginx"]),
        ("status --tier ", ["dev", "prod"]),
        ("release.matrix prod --format ", ["github", "gitlab"]),
        ("release.matrix --format=gi", ["--format=github", "--format=gitlab"]),
        ("deploy.wait ", ["dev", "prod"]),
        ("lock.acquire --reason x ", ["dev", "prod"]),
        ("envs.show ", ["dev", "prod", "acme-prod", "mb-dev", "mb-prod"]),
        ("envs.render mb-", ["mb-dev", "mb-prod"]),
        ("deploy.diff prod --across m", ["main", "mb", "mb-dev", "mb-prod"]),
        ("deploy.wait prod --tenant mb deploy.d", ["deploy.dev", "deploy.diff"]),
        ("build tag.dev deploy.dev --only", ["--only-behind", "--only-failed"]),
        ("deploy.prod --force --tenant mb --fo", []),
        ("deploy.prod --ti", []),
        ("deploy.prod --dry-run=", []),
        ("deploy.prod --unknown=", []),
        ("--search-root . deploy.p", ["deploy.prod"]),
        ("--help deploy.p", ["deploy.prod"]),
        ("-h deploy.p", ["deploy.prod"]),
        ("--dry deploy.p", ["deploy.prod"]),
        ("deploy.prod --h", ["--help"]),
        ("--l", ["--list-depth", "--list-format", "--list"]),
    ],
)
def test_a_word_is_completed_by_what_may_stand_there(root: Path, line: str, words: list[str]):
    assert offered(root, line) == words


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("deploy.prod --tenant ", MORE),
        ("deploy.prod --tenant mb,acme,", WORDS),
        ("deploy.run prod --job ", WORDS),
        ("status --html ", FILES),
        ("status --html=b", FILES),
        ("--config ", FILES),
        ("deploy.run prod --tenant mb -- ./man", FILES),
    ],
)
def test_the_exit_code_says_what_the_shell_does_with_it(root: Path, line: str, code: int):
    assert asked(root, *line.split(" "))[0] == code


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("inv deploy.prod --tenant=mb,a", ["mb,acme"]),
        ("inv deploy.prod --tenant ", ["main", "acme", "mb"]),
        ("inv deploy.prod --override 'x y' --tenant=a", ["acme"]),
        ("inv deploy.prod --tenant 'mb,a", ["mb,acme"]),
        ('inv deploy.prod --tenant "mb,a', ["mb,acme"]),
        ("inv deploy.prod --override it\\'s --tenant a", ["acme"]),
        ("inv deploy.prod --to 'an \\", []),
    ],
)
def test_bash_gets_the_part_of_the_word_that_it_replaces(root: Path, line: str, words: list[str]):
    assert asked(root, line, shell="bash", breaks=" \t\n\"'><=;|&(:")[1] == words


def every_task(folder: Path) -> dict[str, set[str]]:
    """Each name that `inv --list` has, with the flags of its task."""
    tasks = namespace(folder)
    contexts = {name: context for context in tasks.to_contexts() for name in (context.name, *context.aliases)}
    return {str(name): {*context.flags, *context.inverse_flags} for name, context in contexts.items()}


@pytest.mark.parametrize("sample", [True, False])
def test_the_tasks_and_their_flags_are_those_that_invoke_has(root: Path, sample: bool):
    folder = REPOSITORY if sample else root
    tasks = every_task(folder)
    assert set(offered(folder, "")) == set(tasks)
    for name, flags in tasks.items():
        asked_for = set(offered(folder, f"{name} --"))
        unneeded = {flag for flag in flags if f"--no-{flag[2:]}" in flags} | {"--tier", "--env", "--tenant"} - asked_for
        assert asked_for == {flag for flag in flags - unneeded if flag.startswith("--")} | {"--help"}, name


@pytest.mark.parametrize(
    "text",
    [
        TASKS.replace("ns =", "namespace ="),
        "import deploytasks\nns = deploytasks.namespace('.')\n",
        f"{TASKS}ns.add_task(print)\n",
    ],
)
def test_a_tasks_file_whose_root_namespace_is_ours_is_known(root: Path, text: str):
    (root / "tasks.py").write_text(text)
    assert offered(root, "deploy.p") == ["deploy.prod"]


@pytest.mark.parametrize(
    "text",
    ["", "from invoke import task\n", "ns = Collection(ship=namespace(ROOT))\n", "ours = namespace(ROOT)\n"],
)
def test_any_other_tasks_file_is_left_to_invoke(root: Path, text: str):
    (root / "tasks.py").write_text(text)
    assert asked(root, "deploy.p") == (INVOKE, [])


def test_the_tasks_file_is_the_one_that_invoke_would_find(root: Path, tmp_path: Path):
    (root / "src" / "deep").mkdir(parents=True)
    assert offered(root / "src" / "deep", "deploy.p") == ["deploy.prod"]
    assert asked(tmp_path, "deploy.p") == (INVOKE, [])
    assert offered(tmp_path, "-r shop/src deploy.p") == offered(tmp_path, "--search-root=shop deploy.p")
    (root / "tasks").mkdir()
    (root / "tasks.py").rename(root / "tasks" / "__init__.py")
    assert offered(root, "deploy.p") == ["deploy.prod"]
    (root / "tasks" / "__init__.py").rename(root / "ship.py")
    assert offered(root, "-c ship deploy.p") == ["deploy.prod"]


def test_names_that_a_shell_might_run_are_not_offered(root: Path):
    for name in ("$(touch x)", "two words", "line\nbreak", "`x`", "a;b", "../up"):
        if "/" not in name:
            (root / "envs" / f"{name}.toml").write_text("[tiers.prod]\n")
    tables = "".join(f'[{kind}."$(touch {kind})"]\n' for kind in ("tiers", "services", "jobs", "images"))
    (root / "envs" / "project.toml").write_text(PROJECT + tables)
    lines = ("", "deploy.prod --tenant ", "deploy.prod --service ", "envs.show ", "build.", "deploy.run prod --job ")
    words = {word for line in lines for word in offered(root, line)}
    assert words and all(word.replace(".", "").replace("-", "").isalnum() for word in words)
    assert asked(root, "deploy.prod", "--tenant=$(touch x),")[1] == []


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[tiers.prod]\n= broken\n", b"", b"x = " + b"[" * 9000])
def test_a_broken_file_offers_what_can_be_read(root: Path, text: bytes):
    (root / "envs" / "acme.toml").write_bytes(text)
    assert set(offered(root, "envs.show a")) <= {"acme-prod"}
    (root / "envs" / "project.toml").write_bytes(text)
    assert "deploy.diff" in offered(root, "deploy.")
    assert offered(root, "deploy.diff prod --tenant a") == ["acme"]


def test_a_project_without_envs_has_the_tasks_that_need_none(root: Path):
    (root / "envs").rename(root / "elsewhere")
    assert "deploy.diff" in offered(root, "deploy.")
    assert offered(root, "deploy.diff prod --tenant ") == []


@pytest.mark.parametrize("arguments", [[], ["bash"], ["zsh", "", CORE], ["bash", ":", CORE, "\0'\"\\"]])
def test_what_no_shell_would_ask_is_answered_by_nothing(root: Path, arguments: list[str]):
    with chdir(root):
        assert answer(arguments)[1] == ""


def test_whatever_goes_wrong_nothing_is_said(root: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.setattr(tab, "project_names", lambda root: 1 / 0)
    assert asked(root, "deploy.p") == (NOTHING, [])
    assert capfd.readouterr() == ("", "")


def test_so_many_tenants_that_their_files_can_not_be_read_are_offered_by_name_alone(root: Path):
    for number in range(301):
        (root / "envs" / f"t{number:03}.toml").write_text("[tiers.prod]\n")
    assert len(offered(root, "deploy.prod --tenant ")) == 304
    assert offered(root, "envs.show ") == []
    assert offered(root, "envs.show t007") == ["t007-prod"]


def script(shell: str) -> str:
    return "\n".join(completion.run(completion.Namespace(shell=shell)))


def test_one_tab_costs_little_and_imports_neither_invoke_nor_any_library(root: Path):
    python = shlex.split(script("bash").partition("answer=$(")[2].partition(" bash ")[0])
    python[2] = python[2].replace("sys.exit", "sys.stdout.write(chr(10).join(sys.modules)); sys.exit")
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run(
            [*python, "zsh", "", CORE, "inv", "envs.show", ""], cwd=root, capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert (ran.returncode, ran.stderr) == (WORDS, "")
    assert "acme-prod" in loaded and not loaded & {"invoke", "boto3", "botocore", "msgspec", "rich", "jinja2", "site"}
    assert min(times) < 0.15


def test_odd_folders_are_quoted_for_the_shell(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    odd = tmp_path / "it's $(touch ran) here"
    odd.symlink_to(Path(sys.executable).parent)
    monkeypatch.setattr(sys, "executable", str(odd / "python"))
    call = 'COMP_LINE="inv deploy.p" COMP_POINT=12; _deploytasks_complete inv; echo "${COMPREPLY[@]}"'
    ran = subprocess.run(["bash", "-c", f"{script('bash')}\n{call}"], cwd=root, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("deploy.prod\n", "")
    assert not [*tmp_path.rglob("ran")]


def test_a_python_that_is_gone_completes_nothing_and_says_nothing(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", str(root / "gone" / "python"))
    call = 'COMP_LINE="inv deploy.p" COMP_POINT=12; _deploytasks_complete inv; echo "${#COMPREPLY[@]}"'
    ran = subprocess.run(["bash", "-c", f"{script('bash')}\n{call}"], cwd=root, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("0\n", "")


def test_releases_are_those_of_the_tier_that_were_seen_newest_first(root: Path):
    tags = ["prod-20260101T000000Z", "prod-20260301T000000Z", "dev-20260201T000000Z", "prod", "prod-2026", "$(x)"]
    remembered.releases(root, tags, dry_run=False)
    remembered.releases(root, ["prod-20260401T000000Z", ""], dry_run=False)
    newest_first = [f"prod-20260{month}01T000000Z" for month in (4, 3, 1)]
    assert offered(root, "deploy.prod --to ") == newest_first == offered(root, "release.rollback prod --to ")
    assert offered(root, "release.rollback --to d") == ["dev-20260201T000000Z"]
    assert offered(root, "deploy.dev --to ") == ["dev-20260201T000000Z"]


def test_the_newest_fifty_releases_of_a_tier_are_kept(root: Path):
    remembered.releases(
        root,
        [f"{t}-202601{day:02}T00{m:02}00Z" for t in ("a", "b") for day in (1, 2) for m in range(40)],
        dry_run=False,
    )
    kept = seen.releases(root, "a")
    assert (len(kept), kept[0], kept[-1]) == (50, "a-20260102T003900Z", "a-20260101T003000Z")


def test_each_project_has_what_was_seen_of_it_alone(root: Path, tmp_path: Path):
    remembered.releases(root, ["prod-20260101T000000Z"], dry_run=False)
    assert seen.releases(tmp_path, "prod") == ()


@pytest.mark.parametrize("cache", ["file", "relative", "unwritable", "long", "no home"])
def test_a_cache_that_can_not_be_kept_does_not_matter(root: Path, tmp_path: Path, monkeypatch, cache: str):
    folders = {"file": tmp_path / "file", "relative": "relative", "unwritable": "/proc/no", "long": f"/{'x' * 300}"}
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folders.get(cache, "")))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if cache == "no home":
        monkeypatch.setattr(Path, "home", no_home)
    with chdir(tmp_path):
        remembered.releases(root, ["prod-20260101T000000Z"], dry_run=False)
    assert seen.releases(root, "prod") == (("prod-20260101T000000Z",) if cache == "relative" else ())
    assert not (tmp_path / "relative").exists()


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_dry_run_keeps_nothing(root: Path):
    remembered.releases(root, ["prod-20260101T000000Z"], dry_run=True)
    assert not seen.file(root, seen.RELEASES).exists()


def test_commands_that_see_releases_keep_them(shop: Shop):
    for words in (["release.history", "prod"], ["tag.list"], ["status"], ["release.prod"]):
        seen.file(shop.root, seen.RELEASES).unlink(missing_ok=True)
        assert shop.inv(*words).code == 0
        assert set(seen.releases(shop.root, "")) & set(shop.tags()), words


OWN = """
from invoke import task
@task(aliases=["swp"])
def sweep_up(c, broom="x", quietly=False, loudly=True): pass
ns.add_task(sweep_up)
"""


def test_tasks_of_ones_own_are_offered_once_inv_has_run(root: Path):
    (root / "tasks.py").write_text(TASKS + OWN)

    def inv(*words: str) -> None:
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run([sys.executable, "-m", "invoke", *words], cwd=root, env=env, check=True, capture_output=True)

    inv("--dry", "--list")
    assert offered(root, "sw") == []
    inv("--list")
    assert offered(root, "sw") == ["sweep-up", "swp"]
    assert offered(root, "sweep-up --") == ["--broom", "--loudly", "--quietly", "--no-loudly", "--help"]
    assert offered(root, "sweep-up --broom x deploy.p") == ["deploy.prod"]
    (root / "tasks.py").write_text(TASKS)
    inv("--list")
    assert offered(root, "sw") == []


def test_a_cache_that_somebody_spoilt_offers_nothing_that_a_shell_might_run(root: Path):
    tasks = Collection(Task(lambda c: None, name="sweep"))
    remembered.own_tasks(root, tasks, frozenset())
    file = seen.file(root, seen.TASKS)
    file.write_text(f"{file.read_text()}$(touch x)\n--flag\nfine --a;b\ntwo words\n")
    assert offered(root, "sw") == ["sweep"]
    assert not {"$(touch", "fine", "two"} & set(offered(root, ""))
