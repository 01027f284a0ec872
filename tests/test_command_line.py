"""What somebody is told who mistyped a command line: by `inv` itself, as it is started from a shell.

Most of these are forked from a process that has imported `inv`; those that hang on how a process begins are started.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploytasks import namespace
from tests.warm import warmed

ROOT = Path(__file__).parent.parent
GROUP = "release.history, release.rollback, release.matrix, release.dev, release.staging, release.prod"

MISTYPED = {
    "relase.prod": "inv relase.prod: there is no task 'relase.prod'\n    did you mean 'release.prod'?",
    "release.prdo": "inv release.prdo: there is no task 'release.prdo'\n    did you mean 'release.prod'?",
    "envs.list deploy.waitt": "inv deploy.waitt: there is no task 'deploy.waitt'\n    did you mean 'deploy.wait'?",
    "--help deploy.wiat": "inv --help deploy.wiat: there is no task 'deploy.wiat'\n    did you mean 'deploy.wait'?",
    "xyzzy": "inv xyzzy: there is no task 'xyzzy'\n    inv --list shows all tasks",
    "status --tenants x": "inv status: there is no flag '--tenants'\n    did you mean '--tenant'?",
    "release.prod --dryrun": "inv release.prod: there is no flag '--dryrun'\n    did you mean '--dry-run'?",
    "--lsit": "inv: there is no flag '--lsit'\n    did you mean '--list'?",
    "release": f"inv release: 'release' is a group of tasks\n    name one of them: {GROUP}",
    "status prod": "inv status: it does not take 'prod'\n    inv status --tier prod",
    "lock.acquire": "inv lock.acquire: tier is missing\n    inv lock.acquire dev\n    inv lock.acquire staging",
    "envs.show": "inv envs.show: env is missing\n    inv envs.show ENV\n    inv envs.list shows all environments\n",
    "release.prod --commit": "inv release.prod: --commit needs a value\n    --commit VALUE, or leave it out",
    "deploy.wait": "inv deploy.wait: tier is missing\n    inv deploy.wait dev\n    inv deploy.wait staging\n",
    "deploy.wait --tenent mb prod": "inv deploy.wait: there is no flag '--tenent'\n    did you mean '--tenant'?",
    "deploy.wait --josn": "inv deploy.wait: there is no flag '--josn'\n    did you mean '--json'?",
    "deploy.stop --dry prod": "inv deploy.stop: --dry is Invoke's own flag, and comes before the task or after TIER\n"
    "    inv --dry deploy.stop TIER",
    "deploy.stop -R prod": "inv deploy.stop: -R is Invoke's own flag, and comes before the task or after TIER\n",
    "release.prod --tenant a --tenant b": "inv release.prod: --tenant is given twice\n    join its values: --tenant",
    "release.prod --json=yes": "inv release.prod: --json takes no value\n    write --json alone, or leave it out\n",
    "deploy prod": "inv deploy: 'deploy' is a group of tasks\n    write it with a dot: inv deploy.prod\n",
    "--tenant mb release.prod": "inv: there is no flag '--tenant'\n    a task's flag comes after the task: inv TASK",
    "release.prod --ten mb": "inv release.prod: there is no flag '--ten'\n    did you mean '--tenant'?",
    "release.prod --DRY_RUN": "inv release.prod: there is no flag '--DRY_RUN'\n    did you mean '--dry-run'?",
    "release.prod mb": "inv release.prod: it does not take 'mb'\n    inv --help release.prod shows its flags\n",
    "lock.acquire prod dev": "inv lock.acquire: it does not take 'dev'\n    inv --help lock.acquire shows its flags\n",
    "release.prod --last 3": "inv release.prod: it does not take '--last'\n    --last is a flag of release.history\n"
    "    inv --help release.prod shows its flags\n",
    "tag.prod --exclude mb": "inv tag.prod: it does not take '--exclude'\n    --exclude is a flag of status, ",
    "deploy.prod -- --dry-run": "inv deploy.prod: it does not take '-- --dry-run'\n"
    "    write its flags without the two dashes; a command after them is for deploy.run alone\n",
    "build deploy.wait prod -- ls": "inv deploy.wait: it does not take '-- ls'\n",
    "release.prod --lst": "inv release.prod: there is no flag '--lst'\n    did you mean '--list'?",
    "release.prod --wati": "inv release.prod: there is no flag '--wati'\n    did you mean '--wait'?",
    "build.apo": "inv build.apo: there is no task 'build.apo'\n    did you mean 'build.app'?",
    "build.app build.ngnix": "inv build.ngnix: there is no task 'build.ngnix'\n    did you mean 'build.nginx'?",
    "build.app --image nginx": "inv build.app: it does not take '--image'\n    --image is a flag of build, tag.list, ",
    "build app": "inv build: it does not take 'app'\n    write it with a dot: inv build.app\n",
    "build nginx": "inv build: it does not take 'nginx'\n    write it with a dot: inv build.nginx\n",
    "--help biuld": "inv --help biuld: there is no task 'biuld'\n    did you mean 'build'?",
    "status --commit x": "inv status: it does not take '--commit'\n"
    "    --commit is a flag of build.app, build.nginx, build and ",
    "tag.list.app": "inv tag.list.app: there is no task 'tag.list.app'\n    did you mean 'tag.list --image app'?",
    "build.prod": "inv build.prod: there is no task 'build.prod'\n    did you mean 'build'?",
    "status.prod": "inv status.prod: there is no task 'status.prod'\n    did you mean 'status --tier prod'?",
    "deploy.wait.dev": "inv deploy.wait.dev: there is no task 'deploy.wait.dev'\n    did you mean 'deploy.wait dev'?",
    "envs.show.mb": "inv envs.show.mb: there is no task 'envs.show.mb'\n    did you mean 'envs.show mb'?",
    "envs.list.mb": "inv envs.list.mb: there is no task 'envs.list.mb'\n    did you mean 'envs.list'?",
    "Release.Prod": "inv Release.Prod: there is no task 'Release.Prod'\n    did you mean 'release.prod'?",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    (root / "tasks.py").write_text((ROOT / "tasks.py").read_text())
    (root / "envs").mkdir()
    tiers = '[tiers.dev]\ntag = "mutable"\n[tiers.staging]\nafter = "dev"\n[tiers.prod]\nafter = "staging"\n'
    (root / "envs" / "project.toml").write_text(f"[images.app]\n[images.nginx]\n{tiers}")
    return root


Inv = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def inv(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inv]:
    """Runs `inv WORDS` in a folder; its exit code and what it wrote."""
    with warmed(tmp_path_factory.mktemp("warm"), 1) as (warm,):

        def run(root: Path, *words: str) -> tuple[int, str, str]:
            done = warm.run(root, {**os.environ, "PYTHONPATH": str(ROOT)}, *words)
            return done.code, done.stdout, done.stderr

        yield run


def started(root: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    """The same, as a shell starts it."""
    ran = subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


def unread(root: Path, *words: str) -> int:
    """The exit code where stderr is a pipe whose reader left."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}  # what is buffered fails at exit
    command = [sys.executable, "-m", "invoke", *words]
    try:
        return subprocess.run(
            command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=writer, check=False
        ).returncode
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    ("words", "code"), [("relase.prod", 1), ("release.prod --tenant nope", 2), ("", 0), ("--list", 0)]
)
def test_the_exit_code_is_the_commands_own_where_nobody_reads_stderr(shop: Path, words: str, code: int):
    assert unread(shop, *words.split()) == code


def test_a_full_disk_behind_stderr_does_not_change_the_exit_code(shop: Path):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "invoke", "release.prod", "--tenant", "nope"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        assert subprocess.run(command, cwd=shop, env=environment, stderr=full, check=False).returncode == 2


WARN = (
    "\nfrom invoke import task\nfrom deploytasks.tasks import shell\n@task\ndef tell(c):\n"
    "    with shell.interruptible():\n        {}\nns.add_task(tell)\n"
)


@pytest.mark.parametrize("body", ["shell.warn('careful')", "import logging; logging.warning('careful')"])
def test_a_task_that_went_well_ends_with_0_where_nobody_reads_its_warning(shop: Path, body: str):
    (shop / "tasks_warn.py").write_text((ROOT / "tasks.py").read_text() + WARN.format(body))
    assert unread(shop, "-c", "tasks_warn", "tell") == 0


@pytest.mark.parametrize("words", MISTYPED)
def test_a_mistyped_command_line_is_told_the_nearest_right_spelling(inv: Inv, shop: Path, words: str):
    code, out, err = inv(shop, *words.split())
    assert (code, out) == (1, "")
    assert err.startswith(MISTYPED[words])


@pytest.mark.parametrize(
    "words", ["deploy.wait --help", "deploy.wait -h", "deploy.diff prod --help", "deploy.run --help"]
)
def test_help_after_a_task_shows_that_tasks_help(inv: Inv, shop: Path, words: str):
    code, out, err = inv(shop, *words.split())
    assert (code, err) == (0, "")
    assert f"[--core-opts] {words.split()[0]} " in out and "--tenant" in out


@pytest.mark.parametrize(
    "words", ["build --help", "--help build", "build.all -h", "build.app --help", "--help build.app"]
)
def test_help_shows_what_building_all_images_or_one_takes(inv: Inv, shop: Path, words: str):
    code, out, err = inv(shop, *words.split())
    assert (code, err) == (0, "")
    task = next(word for word in words.split() if word.startswith("build"))
    assert f"[--core-opts] {task} " in out and ("--image" in out) == (task != "build.app")


def test_the_list_has_a_task_for_each_image_and_one_for_all(inv: Inv, shop: Path):
    _, out, _ = inv(shop, "--list")
    assert re.findall(r"^  (build.*?)  ", out, re.MULTILINE) == ["build.all (build)", "build.app", "build.nginx"]


def test_help_behind_two_dashes_is_a_word_of_the_command(inv: Inv, shop: Path):
    code, out, _ = inv(shop, "deploy.run", "dev", "--", "cat", "--help")
    assert (code, out) == (2, "")  # refused for what envs/ lacks, after Invoke has taken the command line


def test_without_envs_the_tasks_are_listed_and_it_is_said_what_is_missing(inv: Inv, tmp_path: Path):
    (tmp_path / "tasks.py").write_text((ROOT / "tasks.py").read_text())
    assert "  status " in inv(tmp_path, "--list")[1]
    assert inv(tmp_path, "release.prod")[2] == (
        "inv release.prod: there is no task 'release.prod': envs/project.toml names no tiers\n"
        "    inv envs.check says what is missing\n"
    )


def test_the_known_flags_are_those_that_somebody_would_type(inv: Inv, shop: Path):
    known = inv(shop, "release.prod", "--whatever")[2].partition("known: ")[2].strip().split(", ")
    assert {"--no-wait", "--no-restore", "--tenant"} < {*known} and not {"--wait", "--restore"} & {*known}


def test_a_length_without_a_unit_is_shown_one_that_somebody_may_have_meant(inv: Inv, shop: Path):
    assert inv(shop, "release.prod", "--lock-wait", "5")[::2] == (
        2,
        "--lock-wait: '5' is not a length of time from 1s to ten years\n"
        "    in hours, minutes and seconds: --lock-wait 5m, --lock-wait 90s, --lock-wait 1h30m\n",
    )


def test_all_mistakes_are_told_at_once(shop: Path):
    known = started(shop, "release.dev", "--dryrun")[2].partition("known: ")[2]
    assert started(shop, "release.dev", "--dryrun", "--tenants", "mb", "relase.prod", "--whatever")[2] == (
        f"inv release.dev: there is no flag '--dryrun'\n    did you mean '--dry-run'?\n    known: {known}"
        f"inv release.dev: there is no flag '--tenants'\n    did you mean '--tenant'?\n    known: {known}"
        "inv relase.prod: there is no task 'relase.prod'\n    did you mean 'release.prod'?\n"
        "    inv --list shows all tasks\n"
    )


def test_no_escape_sequence_of_a_word_reaches_the_terminal(inv: Inv, shop: Path):
    assert inv(shop, "\x1b]0;gone\x07relase.prod")[2].startswith("inv relase.prod: there is no task 'relase.prod'")


def test_inv_alone_says_how_to_go_on(inv: Inv, shop: Path):
    code, out, err = inv(shop)
    assert (code, out.startswith("Usage: ")) == (0, True)
    assert err == "inv: no task is named\n    inv --list shows all tasks, inv --help TASK one of them\n"


UNUSABLE = {
    "no envs/": (lambda envs: None, "envs/project.toml: there is no such file\n    write it: [project] with name, "),
    "empty envs/": (lambda envs: envs.mkdir(), "envs/project.toml: there is no such file\n    write it: [project]"),
    "a folder": (lambda envs: (envs / "project.toml").mkdir(parents=True), "envs/project.toml: is a directory"),
    "a file": (lambda envs: envs.touch(), "envs/project.toml: "),
    "a dangling link": (lambda envs: envs.symlink_to("nowhere"), "envs/project.toml: there is no such file"),
    "an empty file": (lambda envs: (envs.mkdir(), (envs / "project.toml").touch()), "envs/project.toml"),
    "no UTF-8": (
        lambda envs: (envs.mkdir(), (envs / "project.toml").write_bytes(b"\xff\xfe[\0")),
        "envs/project.toml:1: is not UTF-8\n    save it as UTF-8",
    ),
}


@pytest.mark.parametrize("made", UNUSABLE)
@pytest.mark.parametrize("words", ["--list", ""])
def test_where_envs_is_missing_or_broken_the_list_says_what_to_write(inv: Inv, tmp_path: Path, made: str, words: str):
    make, says = UNUSABLE[made]
    make(tmp_path / "envs")
    (tmp_path / "tasks.py").write_text((ROOT / "tasks.py").read_text())
    code, out, err = inv(tmp_path, *words.split())
    assert code == 0 and out and "Traceback" not in err
    assert says in err


def test_a_task_of_ones_own_is_known(inv: Inv, shop: Path):
    own = "\nfrom invoke import task\n@task\ndef nightly(c):\n    print('tonight')\nns.add_task(nightly)\n"
    (shop / "tasks_own.py").write_text((ROOT / "tasks.py").read_text() + own)
    assert inv(shop, "-c", "tasks_own", "nightly") == (0, "tonight\n", "")


def test_a_task_of_ones_own_may_read_the_words_after_two_dashes(inv: Inv, shop: Path):
    own = "\nfrom invoke import task\n@task\ndef echo(c):\n    print(c.remainder)\nns.add_task(echo)\n"
    (shop / "tasks_echo.py").write_text((ROOT / "tasks.py").read_text() + own)
    assert inv(shop, "-c", "tasks_echo", "echo", "--", "--hello") == (0, "--hello\n", "")


def test_tasks_below_a_namespace_of_ones_own_are_left_to_invoke(inv: Inv, shop: Path):
    below = "\nfrom invoke import Collection\nours = ns\nns = Collection()\nns.add_collection(ours, 'ship')\n"
    (shop / "tasks_below.py").write_text((ROOT / "tasks.py").read_text() + below)
    code, out, _ = inv(shop, "-c", "tasks_below", "--list")
    assert code == 0 and "ship.status" in out
    assert inv(shop, "-c", "tasks_below", "ship.statu")[2] == "No idea what 'ship.statu' is!\n"


def test_everything_that_invoke_prints_of_a_task_is_ascii():
    tasks = namespace(ROOT)
    for name in tasks.task_names:
        assert (tasks[name].__doc__ or "").isascii(), name
        assert all((each.help or "").isascii() for each in tasks[name].get_arguments()), name


ASCII = {
    "PYTHONIOENCODING": {"PYTHONIOENCODING": "ascii"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
TELL = '\nfrom invoke import task\n@task\ndef tell(c):\n    """Tell… · of Zoë."""\nns.add_task(tell)\n'


@pytest.mark.parametrize("console", ASCII)
@pytest.mark.parametrize("words", ["--list", "--help tell", "tell --help"])
def test_what_invoke_prints_survives_an_ascii_console_whatever_a_docstring_holds(shop: Path, console: str, words: str):
    (shop / "tasks_told.py").write_text((ROOT / "tasks.py").read_text() + TELL, "utf-8")
    code, out, err = started(shop, "-c", "tasks_told", *words.split(), **ASCII[console])
    assert (code, err) == (0, "") and "Tell\\u2026" in out


STOPPED = "\nimport os, signal\nfrom invoke import task\n@task\ndef nightly(c):\n    {}\nns.add_task(nightly)\n"
SIGINT = "os.kill(os.getpid(), signal.SIGINT)"


@pytest.mark.parametrize("words", ["release.prod", "--list", "relase.prod"])
def test_ctrl_c_before_a_task_runs_ends_with_130_and_one_line(shop: Path, words: str):
    (shop / "tasks_early.py").write_text((ROOT / "tasks.py").read_text() + STOPPED.format("pass") + SIGINT)
    assert started(shop, "-c", "tasks_early", words) == (130, "", "interrupted: nothing was begun\n")


def test_ctrl_c_in_a_task_of_ones_own_is_left_to_invoke(inv: Inv, shop: Path):
    (shop / "tasks_stopped.py").write_text((ROOT / "tasks.py").read_text() + STOPPED.format(SIGINT))
    assert inv(shop, "-c", "tasks_stopped", "nightly") == (1, "", "")


def test_after_a_task_of_ours_nobody_says_that_nothing_was_begun(inv: Inv, shop: Path):
    body = f"shell = __import__('deploytasks.tasks.shell').tasks.shell\n    with shell.interruptible(): {SIGINT}"
    (shop / "tasks_taken.py").write_text((ROOT / "tasks.py").read_text() + STOPPED.format(body))
    code, out, err = inv(shop, "-c", "tasks_taken", "nightly")
    assert (code, out) == (130, "")
    assert err.startswith("inv: interrupted\n")


def test_a_signal_that_is_ignored_stays_ignored(inv: Inv, shop: Path):
    ignore = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    tasks = (ROOT / "tasks.py").read_text().partition("from pathlib")
    body = f"{ignore}from pathlib{tasks[2]}" + STOPPED.format("print('tonight')") + SIGINT
    (shop / "tasks_ignoring.py").write_text(body)
    assert inv(shop, "-c", "tasks_ignoring", "nightly") == (0, "tonight\n", "")
