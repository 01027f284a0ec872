"""What a repository has before it has tasks: git, Dockerfiles, a CI system, and what an earlier `init` wrote."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from deploytasks import git
from deploytasks.config import policy
from deploytasks.config.check import checked, fits
from deploytasks.config.files import PROJECT_FILE, Fault, Source, complaints, read_envs, table
from deploytasks.config.images_of_services import default_image
from deploytasks.config.names import is_name
from deploytasks.config.schema import Below
from deploytasks.errors import Complaint, Invalid, raise_all
from deploytasks.git_url import host_and_path

_DOCKERFILE = re.compile(r"Dockerfile(?:\.(?!dockerignore$)[\w.-]+)?|[\w.-]+\.Dockerfile")
_PASSED_OVER = frozenset({"node_modules", "vendor", "deploytasks"})
"""Folders in which there are others' Dockerfiles only."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is in the root; paths are relative to it. `no_git` says why there is no git repository."""

    root: Path
    top: Path
    no_git: Complaint | None = None
    url: str = ""
    branch: str = "main"
    dockerfiles: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    settled: Mapping[str, str] = field(default_factory=dict)
    """What envs/project.toml says, by the flag that it answers."""
    tenants: tuple[str, ...] = ()
    """Those that have a file already, with its account: `mb=222222222222`, or `mb` if it names none."""

    @property
    def host(self) -> str:
        """Return the host of the git remote; "" if there is none, or it is a folder."""
        return host_and_path(self.url)[0]

    @property
    def ci(self) -> str:
        """Return the CI system that the repository's files or its remote tell of."""
        if self.top != self.root:
            return "none"
        if (self.root / ".github").is_dir():
            return "github"
        if (self.root / ".gitlab-ci.yml").is_file():
            return "gitlab"
        return next((each for each in ("github", "gitlab") if each in self.host), "none")


def survey(root: Path) -> Found:
    """Return what is there; nothing is written.

    Raises: Invalid with every complaint about the files of envs/, if there are any.
    """
    settled, tenants = _settled(root)
    try:
        top = Path(git.ask(root, "rev-parse", "--show-toplevel"))
    except Invalid as error:
        found = tuple(sorted(filter(_is_dockerfile, _walked(root))))
        return Found(root, root, error.complaints[0], dockerfiles=found, settled=settled, tenants=tenants)
    files = git.ask(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    return Found(
        root=root,
        top=root if top.resolve() == root.resolve() else top,
        url=git.origin_url(root),
        branch=_branch(root),
        dockerfiles=tuple(sorted({each for each in files if _is_dockerfile(each) and (root / each).is_file()})),
        changed=git.changes(root).tracked,
        settled=settled,
        tenants=tenants,
    )


def _branch(root: Path) -> str:
    """Return the remote's default branch, else the one that is checked out."""
    here = git.run(root, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
    return git.default_branch(root) or here or "main"


def _walked(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [each for each in folders if not each.startswith(".") and each not in _PASSED_OVER]
        yield from (Path(folder, each).relative_to(root).as_posix() for each in files)


def _is_dockerfile(path: str) -> bool:
    """Return whether it is a Dockerfile's path that envs/project.toml can name, and an answer: there, `,` divides."""
    *folders, name = PurePosixPath(path).parts or ("",)
    can_be_named = path.isprintable() and fits(path, Below) and "," not in path
    return bool(_DOCKERFILE.fullmatch(name)) and can_be_named and _PASSED_OVER.isdisjoint(folders)


def _settled(root: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what the files of envs/ answer, and the tenants that have one."""
    if not (root / PROJECT_FILE).exists():
        stems = sorted(path.stem for path in (root / "envs").glob("*.toml"))
        return {}, tuple(filter(is_name, stems))
    faults: list[Fault] = []
    sources = [checked(source, faults) for source in read_envs(root, faults)]
    raise_all(Invalid, complaints(root, faults))
    project, *tenants = sources
    return _answers(project), tuple(f"{each.name}={each.data.get('account', '')}".strip("=") for each in tenants)


def _answers(project: Source) -> dict[str, str]:
    data: Any = project.data
    images, services = table(data, "images"), table(data, "services")
    return {
        "project": data["project"]["name"],
        "registry-account": data["registry"]["account"],
        "region": data["registry"]["region"],
        "tiers": ",".join(policy.order_of_tiers(project)),
        "images": ",".join(f"{name}={_dockerfile(each)}" for name, each in images.items()),
        "services": ",".join(
            f"{name}={each.get('image') or default_image(name, images)}" for name, each in services.items()
        ),
    }


def _dockerfile(image: Mapping[str, Any]) -> str:
    """Return the path of an image's Dockerfile, from the root."""
    return PurePosixPath(image.get("context", "."), image.get("dockerfile", "Dockerfile")).as_posix()
