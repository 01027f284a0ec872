"""Which of the user's registry passwords a build asks for."""

import json
import os
from pathlib import Path

import pytest

from deploytasks.builders import BuildRequest, Login, credentials
from deploytasks.builders.request import BuildLog
from deploytasks.model import Build, Image

OURS = Login("ours.example.com", "AWS", "s3cret")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch) -> Path:
    """A credential helper that notes for which registry it was asked."""
    noted = tmp_path / "asked"
    program = tmp_path / "docker-credential-noting"
    program.write_text(f'#!/bin/sh\nread host; echo "$host" >> {noted}\necho \'{{"Username": "u", "Secret": "p"}}\'\n')
    program.chmod(0o755)
    noted.write_text("")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return noted


def known(tmp_path: Path, dockerfile: str, settings: dict) -> tuple[dict, list[str]]:
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "Dockerfile").write_text(dockerfile)
    told: list = []
    request = BuildRequest(Build(Image("api", "api"), "c", "c"), tmp_path, "ours.example.com/api:c")
    found = credentials.of_bases(request, OURS, BuildLog("api", told.append))
    return {host: entry.get("Username", entry.get("username")) for host, entry in found.items()}, [
        each.message for each in told
    ]


def test_only_the_registries_that_the_dockerfile_names_are_asked_about(tmp_path, asked):
    settings = {"credHelpers": {"a.example.com": "noting", "b.example.com": "noting", "c.example.com": "missing"}}
    text = "ARG BASE=a.example.com/x\nFROM ${BASE}:1 AS it\nFROM --platform=linux/amd64 scratch\nCOPY --from=it / /\n"
    found, told = known(tmp_path, text, settings)
    assert found == {"a.example.com": "u", "ours.example.com": "AWS"}
    assert asked.read_text() == "a.example.com\n"
    assert told == []


def test_a_helper_of_ours_is_never_asked_since_the_password_is_known(tmp_path, asked):
    found, _ = known(tmp_path, "FROM ours.example.com/base\n", {"credHelpers": {"ours.example.com": "missing"}})
    assert found == {"ours.example.com": "AWS"}


def test_a_helper_that_is_not_installed_is_told_and_the_base_is_read_anonymously(tmp_path, asked):
    found, told = known(tmp_path, "FROM b.example.com/base\n", {"credsStore": "missing"})
    assert found == {"ours.example.com": "AWS"}
    assert len(told) == 1 and told[0].startswith("b.example.com is read anonymously: ")


def test_a_password_in_the_config_is_used_for_its_registry(tmp_path, asked):
    settings = {"auths": {"b.example.com": {"auth": "dTpw"}, "d.example.com": {"auth": "eDp5"}}}
    found, _ = known(tmp_path, "COPY --from=b.example.com/tools /x /x\n", settings)
    assert found == {"b.example.com": "u", "ours.example.com": "AWS"}


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"credsStore": "missing", "auths": {"x": {"auth": "dTpw"}}, "proxies": {}}, {"proxies": {}}),
        ({"credHelpers": {"a": "missing", "b": "noting"}}, {"credHelpers": {"b": "noting"}}),
        ({"credsStore": "missing", "credHelpers": {"a": "noting"}}, {"credHelpers": {"a": "noting"}}),
    ],
)
def test_buildx_is_given_a_configuration_without_helpers_that_are_not_installed(tmp_path, asked, settings, kept):
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "contexts").mkdir()
    with credentials.without_missing_helpers() as added:
        given = Path(added["DOCKER_CONFIG"])
        assert json.loads((given / "config.json").read_text()) == kept
        assert (given / "contexts").is_dir()
    assert not given.exists()
    assert json.loads((tmp_path / "config.json").read_text()) == settings


@pytest.mark.parametrize(
    "settings", ["{}", "no JSON", "[]", '{"credsStore": "noting", "auths": {"x": {"auth": "dTpw"}}}']
)
def test_buildx_is_left_with_a_configuration_whose_helpers_are_installed(tmp_path, asked, settings):
    (tmp_path / "config.json").write_text(settings)
    with credentials.without_missing_helpers() as added:
        assert added == {}
