"""The webhook that receives messages about releases: its address, and the heading of a message."""

import os
from collections.abc import Iterable

from deploytasks import git
from deploytasks.aws import secrets
from deploytasks.commands.context import guard_registry, reach, whoami_here
from deploytasks.errors import Invalid
from deploytasks.model import Heading, Project, Webhook


def address(project: Project, webhook: Webhook) -> str:
    """Return the webhook's address, read from where envs/project.toml says. It is a secret.

    Raises:
        DeployError: it could not be read.

    """
    if webhook.place == "env":
        if value := os.environ.get(webhook.name, "").strip():
            return value
        raise Invalid.of("notify.webhook", f"the variable {webhook.name} is not set")
    clients, access = reach(project), project.registry.access
    guard_registry(project, clients)
    client = clients.of(webhook.place, access)
    read = secrets.parameter if webhook.place == "ssm" else secrets.secret
    return read(client, webhook.name).strip()


def heading(project: Project, tier: str, command: str, commits: Iterable[str]) -> Heading:
    """Return the heading of each message about a command of this process."""
    return Heading(project.name, tier, command, whoami_here(), git.subjects(project.root, commits))
