"""`inv deploy.<tier>`, and what looks at or works in what is deployed: `deploy.wait`, `logs` and `run` TIER."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.tasks import flags, shell

if TYPE_CHECKING:
    from deploytasks.model import Difference

_HELP = flags.helped("tenant", "service", "exclude", "to", "override", "force", "wait", "dry-run", "json")
_WAIT_HELP = flags.TIER | flags.helped("tenant", "service", "exclude", "json")
_DIFF_HELP = flags.TIER | flags.helped("tenant", "service", "exclude", "across", "json")
_RUN_HELP = flags.TIER | flags.helped("tenant", "service", "dry-run", "json")
_LOGS_HELP = flags.TIER | flags.helped("tenant", "service", "exclude", "since", "follow", "json")


def collection(root: Path, tiers: Iterable[str]) -> Collection:
    """The namespace `deploy`."""
    return Collection(
        "deploy", _diff(root), _wait(root), _logs(root), _run(root), *(_deploy(root, tier) for tier in tiers)
    )


def _deploy(root: Path, tier: str) -> Task[Any]:
    @task(name=tier, auto_shortflags=False, help=_HELP)
    def deploy(
        c: Context,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        to: str | None = None,
        override: str | None = None,
        force: bool = False,
        wait: bool = True,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Roll every target of the tier to what its tier tag names."""
        from deploytasks import journey

        options = flags.options(c, to=to, override=override, force=force, wait=wait, dry_run=dry_run)
        shell.carry_out(root, journey.deploy, flags.scope(tier, tenant, service, exclude), options, as_json=json)

    return deploy


def _wait(root: Path) -> Task[Any]:
    @task(name="wait", auto_shortflags=False, positional=["tier"], help=_WAIT_HELP)
    def wait(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        json: bool = False,
    ) -> None:
        """Follow whatever rollout is under way to its end; change nothing."""
        from deploytasks import journey

        scope = flags.scope(tier, tenant, service, exclude)
        shell.carry_out(root, journey.wait, scope, flags.options(c), as_json=json)

    return wait


def _diff(root: Path) -> Task[Any]:
    @task(name="diff", auto_shortflags=False, positional=["tier"], help=_DIFF_HELP)
    def diff(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        across: str | None = None,
        json: bool = False,
    ) -> None:
        """Show how live definitions differ from the rendered ones, or from another tenant's; exit 3 if they do."""
        from deploytasks import journey
        from deploytasks.project.load import load

        scope, other, project = flags.scope(tier, tenant, service, exclude), flags.text("across", across), load(root)
        with shell.interruptible():
            found = journey.across(project, scope, other) if other else journey.differences(project, scope)
        _show(found, as_json=json)
        _judge(found)

    return diff


def _show(found: Sequence["Difference"], *, as_json: bool) -> None:
    """The differences are on stdout, without what this process's variables keep secret."""
    from deploytasks.report import diff

    grouped = diff.groups(found, os.environ)
    shell.show(diff.sheet(found, grouped), diff.as_json(found, grouped), as_json=as_json)


def _judge(found: Sequence["Difference"]) -> None:
    """What the differences come to as an exit code.

    Raises:
        AwsError: some target could not be compared.
        Different: some target differs.

    """
    from deploytasks.errors import AwsError, Different
    from deploytasks.report.diff import summary

    if any(each.complaints for each in found):
        raise AwsError.of("deploy.diff", f"not everything could be compared; {summary(found)}")
    if any(each.differs for each in found):
        raise Different.of("deploy.diff", summary(found))


def _logs(root: Path) -> Task[Any]:
    @task(name="logs", auto_shortflags=False, positional=["tier"], help=_LOGS_HELP)
    def logs(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        since: str = "10m",
        follow: bool = False,
        json: bool = False,
    ) -> None:
        """Show the recent log lines of a tier's targets, or follow them."""
        from deploytasks.tasks import containers

        back, scope = flags.duration("since", since), flags.scope(tier, tenant, service, exclude)
        containers.logs(root, scope, back, follow=follow, as_json=json)

    return logs


def _run(root: Path) -> Task[Any]:
    @task(name="run", auto_shortflags=False, positional=["tier"], help=_RUN_HELP)
    def run(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Run a command once, as a task of a service: deploy.run TIER --tenant T --service S -- CMD…."""
        from deploytasks.tasks import containers

        scope, options = flags.scope(tier, tenant, service), flags.options(c, dry_run=dry_run)
        containers.run(root, scope, flags.words_after_dashes(c, tier), dry_run=options.dry_run, as_json=json)

    return run
