"""Files of envs/ for tests: an ordinary project and tenant, to which a test adds only what it is about."""

from pathlib import Path

import pytest

from deploytasks.config.load import load
from deploytasks.errors import Invalid
from deploytasks.model import Project, Target

PROJECT = """\
[project]
name = "shop"
[registry]
account = "000000000000"
region = "us-east-1"
[images.api]
[services.api]
[tiers.dev]
tag = "mutable"
[tiers.prod]
tag = "immutable"
after = "dev"
"""
MB = """\
account = "222222222222"
region = "us-east-1"
cluster = "{tenant}-{tier}"
[tiers.dev]
[tiers.prod]
"""
FILLED = "; may use {account} {region} {tenant} {tier} {service}"
"""How the advice on a value that takes placeholders ends."""


def write(root: Path, project: str = PROJECT, **tenants: str) -> Path:
    """The files belong under the root: project.toml, and one for each tenant; `mb` where none is given."""
    folder = root / "envs"
    folder.mkdir(exist_ok=True)
    (folder / "project.toml").write_text(project)
    for name, text in (tenants or {"mb": MB}).items():
        (folder / f"{name.replace('_', '-')}.toml").write_text(text)
    return root


def loaded(root: Path, project: str = PROJECT, **tenants: str) -> Project:
    return load(write(root, project, **tenants))


def only_target(root: Path, project: str = PROJECT, mb: str = MB, tier: str = "prod") -> Target:
    """The target of mb's api in a tier."""
    return next(each for each in loaded(root, project, mb=mb).targets if each.environment.tier == tier)


def refusal(root: Path, project: str = PROJECT, **tenants: str) -> str:
    """The whole message with which the files are refused."""
    write(root, project, **tenants)
    return refusal_of(root)


def refusal_of(root: Path) -> str:
    """The whole message with which the files under the root are refused."""
    with pytest.raises(Invalid) as caught:
        load(root)
    return str(caught.value)
