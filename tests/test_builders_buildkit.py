"""The builder without an engine gives what BuildKit gives, or refuses; asked of BuildKit itself where there is one."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import uuid
from pathlib import Path
from typing import Any

import pytest

from deploytasks import builders
from deploytasks.builders import BuildRequest
from deploytasks.errors import DeployError
from deploytasks.model import Build, Image
from tests.registry import serving

pytestmark = pytest.mark.docker

PROGRAM = shutil.which("docker", path="/usr/bin") or "docker"  # Debian's, whose BuildKit needs no plugin
KEYS = (
    *("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "ExposedPorts", "Labels", "Volumes", "StopSignal", "Shell"),
    "Healthcheck",
)
FILES = {"a": "a", "b": "b", "dir/x": "x", "dir/sub/y": "y", "lib.jar": "jar", "a b": "blank", "$x": "dollar"}
LINKS = {"link": "a", "dirlink": "dir", "rooted": "/dir/x", "dangling": "nowhere", "up": "../a", "hidden": ".env"}

SAME = [
    "ENV PW=a$$b X=$1y Z=$@ Q=$10 D=$ E=a$",
    "ENV PW='a$$b' X=\"$$\"",
    "ENV OLD some  text",
    "LABEL key some value",
    'LABEL "a b"="c d" e=f',
    "LABEL a=b\\\\\nLABEL c=d",
    "ENV A=1 \\\n  B=2 \\  \n  # why\n\n  C=3",
    "ADD a /x",
    "ADD dir /d",
    "ADD a b /d/",
    "COPY link /x",
    "COPY dirlink /d",
    "COPY dirlink/x /d",
    "COPY rooted /r",
    "COPY up /u",
    "COPY a* /x/",
    "COPY *.jar /app.jar",
    "COPY . /all/",
    'COPY ["a b", "/x/"]',
    "COPY [^b] /x/",
    "COPY dir/*/y /y",
    "COPY \\$x /x",
    "VOLUME /data /more",
    'VOLUME ["/a b", "/c"]',
    "STOPSIGNAL SIGINT",
    "STOPSIGNAL 9",
    "HEALTHCHECK CMD curl -f localhost",
    'HEALTHCHECK --interval=1m30s --timeout=3s --start-period=500ms --retries=5 CMD ["curl", "-f"]',
    "HEALTHCHECK NONE",
    'SHELL ["/bin/bash", "-c"]\nCMD echo hi',
    "USER 10:20\nWORKDIR w\nWORKDIR /abs\nEXPOSE 80 81/udp",
    "ARG A=1\nENV B=${A:-x} C=${D:-y} E=${A:+z}",
    'ENTRYPOINT ["/e"]\nCMD ["c"]',
    "MAINTAINER Ada <ada@example.com>",
]
REFUSED_BY_BOTH = [
    "COPY hidden /x",
    "COPY dangling /x",
    "COPY .env /x",
    "COPY nowhere /x",
    "ENV PATH",
    "LABEL key",
    "HEALTHCHECK curl",
    "HEALTHCHECK --interval=abc CMD x",
    "SHELL /bin/sh",
    'COPY "a b" /x/',
    "COPY a /f\nCOPY dir /f",
    "STOPSIGNAL FOO",
]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    for name, text in {**FILES, ".env": "SECRET", ".dockerignore": ".env\n"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, target in LINKS.items():
        (root / name).symlink_to(target)
    return root


def by_buildkit(context: Path, scratch: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The image's configuration and its files, `-> target` for links."""
    tag = f"deploytasks-test-{uuid.uuid4().hex}"
    kit = {**os.environ, "DOCKER_BUILDKIT": "1"}

    def run(*words: str) -> str:
        return subprocess.run([PROGRAM, *words], env=kit, check=True, capture_output=True, text=True).stdout

    run("build", "-q", "-t", tag, str(context))
    try:
        (about,) = json.loads(run("image", "inspect", tag))
        run("save", "-o", str(scratch / "saved"), tag)
    finally:
        run("image", "rm", "-f", tag)
    files: dict[str, str] = {}
    with tarfile.open(scratch / "saved") as saved:
        (manifest,) = json.load(saved.extractfile("manifest.json"))  # type: ignore[arg-type]
        for layer in manifest["Layers"]:
            files |= members(saved.extractfile(layer).read())  # type: ignore[union-attr]
    return {**about["Config"], "author": about.get("Author", "")}, files


def by_append(context: Path) -> tuple[dict[str, Any], dict[str, str]]:
    with serving() as registry:
        request = BuildRequest(
            Build(Image("api", "api", builder="append"), "c" * 40, "c" * 40), context, f"{registry.host}/api:1"
        )
        builders.build_and_push(request, None, [].append)
        files: dict[str, str] = {}
        for layer in registry.manifest("api", "1")["layers"]:
            files |= members(registry.blobs["api"][layer["digest"]])
        config = registry.config("api", "1")
        return {**config["config"], "author": config.get("author", "")}, files


def members(blob: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
        return {
            each.name.strip("/"): f"-> {each.linkname}" if each.issym() else tar.extractfile(each).read().decode()  # type: ignore[union-attr]
            for each in tar
            if not each.isdir()
        }


def said(config: dict[str, Any]) -> dict[str, Any]:
    return {key: config.get(key) or None for key in (*KEYS, "author")}


@pytest.mark.parametrize("text", SAME)
def test_the_image_is_buildkit_s(text, context, tmp_path):
    (context / "Dockerfile").write_text(f"FROM scratch\nCOPY b /b0\n{text}\n")
    theirs, their_files = by_buildkit(context, tmp_path)
    ours, our_files = by_append(context)
    assert said(ours) == said(theirs)
    assert our_files == their_files


@pytest.mark.parametrize("text", REFUSED_BY_BOTH)
def test_what_buildkit_refuses_is_refused(text, context, tmp_path):
    (context / "Dockerfile").write_text(f"FROM scratch\n{text}\n")
    with pytest.raises(subprocess.CalledProcessError):
        by_buildkit(context, tmp_path)
    with pytest.raises(DeployError, match=r"Dockerfile:2: |is a file already"):
        by_append(context)
