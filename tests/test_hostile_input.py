"""Whatever a file, a variable, a socket or a stream holds: a complaint with what to do, and never a traceback."""

import copy
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploytasks.builders import choose
from deploytasks.config.load import load
from deploytasks.errors import DeployError, Refusal
from deploytasks.model import Image
from tests.commands import Shop
from tests.hanging import HANGS_S

DEEP = ".".join(["a"] * 900)
BIG = "0x" + "f" * 6000
HOSTILE = {
    "NUL": "a\0b",
    "newline": "a\nb",
    "escape": "\x1b]0;x\x07",
    "C1": "a\x9bb",
    "long": "x" * 10_000,
    "quote": 'a"b',
    "right to left": "a\u202eb",
}
DOCUMENT = Path(__file__).parents[1] / "docs/envs.md"
PROJECT, TENANT = map(tomllib.loads, re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[:2])


def leaves(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every setting."""
    for key, value in table.items():
        yield from leaves(value, (*path, key)) if isinstance(value, dict) else [(*path, key)]


def toml(value: Any) -> str:
    """The value as TOML can write it on one line; a table at the top, as a file."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def changed(table: dict[str, Any], path: tuple[str, ...], text: str, *, key: bool) -> dict[str, Any]:
    """The table with the text in place of the setting's value, or of its name."""
    whole = copy.deepcopy(table)
    inner = whole
    for part in path[:-1]:
        inner = inner[part]
    if key:
        inner[text] = inner.pop(path[-1])
    else:
        value = inner[path[-1]]
        is_nested = isinstance(value, list) and isinstance(value[0], list)
        inner[path[-1]] = [[text]] if is_nested else [text] if isinstance(value, list) else text
    return whole


@pytest.mark.parametrize("key", [False, True], ids=["value", "key"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("file", ["project", "mb"])
def test_every_setting_takes_hostile_text_or_is_refused_by_name(tmp_path: Path, file: str, text: str, key: bool):
    (tmp_path / "envs").mkdir()
    files = {"project": PROJECT, "mb": TENANT}
    for path in leaves(files[file]):
        for name, table in (files | {file: changed(files[file], path, text, key=key)}).items():
            lines = (f"{json.dumps(each)} = {toml(value)}\n" for each, value in table.items())
            (tmp_path / f"envs/{name}.toml").write_text("".join(lines))
        try:
            load(tmp_path)
        except DeployError as error:
            assert error.code == 2 and f"envs/{file}.toml" in str(error), path
            assert "\0" not in str(error), path
        else:
            assert "\0" not in text, path


FILES = {
    "keys 900 deep": (f"[defaults.vars.x]\n{DEEP} = 1\n", "is nested too deeply: more than 64 tables and lists"),
    "a table 900 deep": (f"[defaults.vars.{DEEP}]\n", "is nested too deeply: more than 64 tables and lists"),
    "lists 300 deep": (f"[defaults.vars]\nx = {'[' * 300}{']' * 300}\n", "is nested too deeply"),
    "lists 9,000 deep": (f"[defaults.vars]\nx = {'[' * 9000}{']' * 9000}\n", "is nested too deeply to be read"),
    "6,000 digits": (f"[defaults.vars]\nx = {BIG}\n", "defaults.vars.x: is a number of more than 64 bits"),
    "for a secret": (f"[defaults.secrets]\nX = {BIG}\n", "defaults.secrets.X: is a number of more than 64 bits"),
    "for a variable": (f"[tiers.prod.settings.env]\nX = {BIG}\n", "env.X: is a number of more than 64 bits"),
    "in a list": (f"[defaults.vars]\nx = [1, [-{2**63 + 1}]]\n", "defaults.vars.x: is a number of more than 64 bits"),
    "5,000 decimal digits": (f"[defaults.vars]\nx = {'9' * 5000}\n", "holds a number of thousands of digits"),
    "NUL in a key": ('[defaults.vars]\n"a\\u0000b" = 1\n', "defaults.vars: the key 'ab' holds a NUL character"),
    "NUL in a list": ('[defaults.vars]\nx = ["a\\u0000b"]\n', "defaults.vars.x: the text holds a NUL character"),
}


@pytest.mark.parametrize(("text", "said"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("task", ["envs.check", "envs.show t1-prod", "release.prod --dry-run"])
def test_what_no_request_can_carry_is_refused_with_its_key(shop: Shop, task: str, text: str, said: str):
    file = shop.root / "envs/project.toml"
    file.write_text(f"{file.read_text()}\n{text}")
    ran = shop.inv(*task.split())
    assert (ran.code, ran.stderr.startswith("envs/project.toml:"), said in ran.stderr) == (2, True, True), ran.stderr
    assert "\n    " in ran.stderr


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 0.5, "ä\n", {"a": {"b": [1]}}])
def test_what_a_request_can_carry_is_taken(shop: Shop, value: object):
    file = shop.root / "envs/project.toml"
    file.write_text(f"{file.read_text()}\n[defaults.vars]\nx = {toml(value)}\n")
    assert shop.inv("envs.show", "t1-prod").code == 0


@pytest.mark.parametrize("key", ["context", "dockerfile"])
@pytest.mark.parametrize("path", ["x" * 300, "x/" * 500 + "x", "\\u0000", "\\u001b]0;x\\u0007"])
@pytest.mark.parametrize("task", ["envs.check", "build", "release.dev --dry-run"])
def test_a_path_that_no_file_system_takes_is_not_there(shop: Shop, task: str, key: str, path: str):
    text = f'context = "{path}"' if key == "context" else f'context = "."\ndockerfile = "{path}"'
    shop.edit("envs/project.toml", 'context = "."', text)
    ran = shop.inv(*task.split())
    assert (ran.code, f"images.api.{key}: " in ran.stderr) == (2, True), ran.stderr


TEMPLATES = {
    "lists 100,000 deep": ('"x": ' + "[" * 100_000 + "]" * 100_000, "what it renders is nested too deeply"),
    "lists 900 deep": ('"x": ' + "[" * 900 + "]" * 900, "templates/api.json.j2:"),
    "5,000 digits": (f'"x": {"9" * 5000}', "what it renders holds a number of thousands of digits"),
    "brackets 5,000 deep": (
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "it is nested too deeply, or includes itself",
    ),
    "itself": ('{% include "api.json.j2" %}', "it is nested too deeply, or includes itself"),
    "a file called NUL": ('{% include "\\0" %}', "there is no templates/"),
    "a variable called NUL": ('{{ env_var("A\\0") }}', "is not set"),
}


@pytest.mark.parametrize(("text", "said"), TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_that_goes_too_far_is_refused_by_name(shop: Shop, text: str, said: str):
    shop.edit("templates/api.json.j2", '"networkMode": "awsvpc",', f'{text}, "networkMode": "awsvpc",')
    ran = shop.inv("envs.check")
    assert (ran.code, ran.stderr.startswith("templates/api.json.j2"), said in ran.stderr) == (2, True, True), ran.stderr


@pytest.mark.parametrize("address", ["tcp://x:y", "tcp://localhost:99999", "http://[::1"])
def test_a_docker_host_that_is_no_address_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(Refusal, match=r"^DOCKER_HOST: '.*' is not an address of a Docker engine: .*\n    for example "):
        choose(Image("api", "api"))


@pytest.mark.parametrize(
    "address", ["tcp://", "unix://", f"unix:///{'x' * 300}", "ssh://x", "npipe://x", "garbage", "fd://", "unix:///\x1b"]
)
def test_a_docker_host_where_nobody_answers_leaves_the_other_builder(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("DOCKER_HOST", address)
    assert choose(Image("api", "api")).name != "docker"
    with pytest.raises(Refusal, match=r"^docker: no Docker engine answers at "):
        choose(Image("api", "api", builder="docker"))


@pytest.mark.parametrize("task", ["build --allow-dirty", "release.dev --allow-dirty --dry-run"])
def test_a_directory_for_temporary_files_that_is_not_there_is_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, task: str
):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    (shop.root / "Dockerfile").write_text("FROM scratch\nLABEL x=1\n")
    ran = shop.inv(*task.split())
    assert (ran.code, ran.stderr.startswith("/nowhere/deploytasks-")) == (2, True), ran.stderr
    assert "No such file or directory\n    see that it is there, has room and may be used; for temporary" in ran.stderr


@pytest.mark.parametrize("words", ["--list", "--help release.dev", "--list --list-format=json"])
@pytest.mark.parametrize(
    ("redirected", "said"), [("> /dev/full", "stdout: not everything could be written: No space left"), ("| true", "")]
)
def test_what_invoke_itself_prints_ends_without_a_traceback(shop: Shop, words: str, redirected: str, said: str):
    line = f"{sys.executable} -u -m invoke {words} {redirected}"
    ran = subprocess.run(["sh", "-c", line], cwd=shop.root, capture_output=True, text=True, timeout=HANGS_S)
    assert ran.stderr.startswith(said) and "Traceback" not in ran.stderr and "Exception" not in ran.stderr


STREAMS = {
    "stdout closed": (">&-", 2, "stdout: it is closed\n    send it somewhere, for example > /dev/null\n"),
    "both closed": (">&- 2>&-", 2, ""),
    "stderr closed": ("2>&-", 0, ""),
    "stdin closed": ("<&-", 0, ""),
    "all closed": ("<&- >&- 2>&-", 2, ""),
    "stdout full": (
        ">/dev/full",
        1,
        "stdout: not everything could be written: No space left on device\n    make room, or send it elsewhere\n",
    ),
    "stderr full": ("2>/dev/full", 0, ""),
}


@pytest.mark.parametrize("task", ["envs.check", "envs.list --json", "envs.render t1-prod"])
@pytest.mark.parametrize(("redirected", "code", "said"), STREAMS.values(), ids=STREAMS)
def test_streams_that_take_nothing_are_told_where_one_is_left(
    shop: Shop, task: str, redirected: str, code: int, said: str
):
    line = f"exec {sys.executable} -m invoke {task} {redirected}"
    ran = subprocess.run(["sh", "-c", line], cwd=shop.root, capture_output=True, text=True, timeout=HANGS_S)
    assert (ran.returncode, ran.stderr) == (code, said)
