"""`inv envs.list`, `show ENV`, `render ENV`, `check`, `new TENANT`, `schema`, `rights` and `bootstrap`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from deploytasks.flags import DRY_RUN, choices
from deploytasks.tasks import files, flags, shell

if TYPE_CHECKING:
    from deploytasks.errors import Complaint


def collection(root: Path) -> Collection:
    """Return the namespace `envs`."""
    made = (_list, _show, _render, _check, _new, _schema, _rights, _bootstrap)
    return Collection("envs", *(each(root) for each in made))


def _list(root: Path) -> Task[Any]:
    @flags.task("envs.list")
    def list_environments(c: Context, **given: Any) -> None:
        """List every environment with its account, cluster, wave, services and jobs."""
        from deploytasks.config.load import load
        from deploytasks.report import settings

        targets = load(root).targets
        shell.show(settings.environments_sheet(targets), settings.environments_json(targets), as_json=given["json"])

    return list_environments


def _show(root: Path) -> Task[Any]:
    @flags.task("envs.show")
    def show(c: Context, env: str, **given: Any) -> None:
        """Show an environment's merged settings, each with the file and line that it came from."""
        from deploytasks.config import select
        from deploytasks.config.layers import settings as settings_of
        from deploytasks.config.load import load
        from deploytasks.report import settings

        targets = select.environment(load(root), env, given["service"])
        rows = {target.name: settings_of(root, target) for target in targets}
        shell.show(settings.services_sheet(rows), settings.services_json(rows), as_json=given["json"])

    return show


def _render(root: Path) -> Task[Any]:
    @flags.task("envs.render")
    def render(c: Context, env: str, **given: Any) -> None:
        """Print the task definitions and schedules of an environment's templates, as JSON, for an image of zeros."""
        from deploytasks.config import select
        from deploytasks.config.load import load
        from deploytasks.template.check import rendered

        project = load(root)
        renders = rendered(project, select.environment(project, env, given["service"]))
        shell.show_exactly(next(iter(renders.values())) if len(renders) == 1 else renders)

    return render


def _check(root: Path) -> Task[Any]:
    @flags.task("envs.check")
    def check(c: Context, **given: Any) -> None:
        """Check every file, template and environment, offline."""
        from deploytasks.commands import envs_check, envs_schema
        from deploytasks.config.load import load
        from deploytasks.errors import Invalid, raise_all
        from deploytasks.report import settings
        from deploytasks.template.check import check_all, unchecked

        project = load(root)
        raise_all(Invalid, [*check_all(project), *envs_check.complaints(project)])
        seen = project.targets, [*unchecked(project), *envs_schema.notes(root), *envs_check.notes(project)]
        shell.show(settings.checked_sheet(*seen), settings.checked_json(*seen), as_json=given["json"])

    return check


def _new(root: Path) -> Task[Any]:
    @flags.task("envs.new")
    def new(c: Context, tenant: str, **given: Any) -> None:
        """Write the file of a new tenant, minimal or like another's; never overwrites one."""
        from deploytasks.commands import envs_new
        from deploytasks.config.select import names

        texts = {flag: flags.text(flag, given[flag]) or "" for flag in ("account", "like", "region", "profile")}
        asked = envs_new.Asked(tenant, tiers=names("tier", given["tier"]), **texts)
        draft = envs_new.new(root, asked)
        if flags.is_dry(c, given["dry_run"]):
            for text in (*draft.text.splitlines(), "", f"{asked.file}: {DRY_RUN}"):
                shell.say(text)
            return
        files.create(root / asked.file, draft.text)
        for text in envs_new.told(root, asked, draft):
            shell.say(text)

    return new


def _schema(root: Path) -> Task[Any]:
    @flags.task("envs.schema")
    def schema(c: Context, **given: Any) -> None:
        """Write the JSON Schemas by which editors complete and check the files of envs/."""
        from deploytasks.commands import envs_schema
        from deploytasks.errors import Different

        outdated, dry = envs_schema.outdated(root), flags.is_dry(c, given["dry_run"])
        if outdated and given["check"]:
            raise Different.of(", ".join(outdated), "missing, or not this version's", "inv envs.schema writes it")
        for file, text in outdated.items():
            if not dry:
                files.write(root / file, text, to_do=f"make {root / file} a file that you may write")
            shell.say(f"{file}: {'would be written' if dry else 'written'}")
        if not outdated:
            shell.say("both schemas are this version's")
        for file, line in envs_schema.unreferred(root):
            shell.say(f"{file}: editors find its schema by this first line: {line}")
        if dry:
            shell.say(DRY_RUN)

    return schema


def _rights(root: Path) -> Task[Any]:
    @flags.task("envs.rights")
    def rights(c: Context, **given: Any) -> None:
        """Show the roles that the project needs, their trust and their least policies, offline."""
        from deploytasks.commands import envs_rights
        from deploytasks.config.load import load
        from deploytasks.config.select import names
        from deploytasks.report import rights as report

        form = flags.one_of("format", given["format"], choices("envs.rights", "format"))
        texts = {flag: flags.text(flag, given[flag]) or "" for flag in ("repository", "branch")}
        asked = envs_rights.Asked(
            names("role", given["role"]),
            names("tenant", given["tenant"]),
            trusted=names("trust", given["trust"]),
            **texts,
        )
        project = load(root)
        found = envs_rights.grants(project, asked)
        shown = report.FORMATS[form](project.name, found)
        shell.show_text(shown) if isinstance(shown, str) else shell.show_exactly(shown)
        for note in envs_rights.notes(found):
            shell.warn(f"envs.rights: {note}")

    return rights


def _bootstrap(root: Path) -> Task[Any]:
    @flags.task("envs.bootstrap")
    def bootstrap(c: Context, **given: Any) -> None:
        """Make the missing ECR repositories, let all tenants' accounts pull, and show who else may."""
        from deploytasks import commands
        from deploytasks.config.load import load

        options, revoke = flags.options(c, given), given["revoke"]
        asking = partial(_agreed, f"inv envs.bootstrap{' --revoke' if revoke else ''}")
        changes = 0
        agreed = None if given["yes"] else asking
        for change in commands.bootstrap(load(root), agreed, dry_run=options.dry_run, revoke=revoke):
            shell.say(change)
            changes += 1
        if not changes:
            shell.say("every repository is there, and all accounts may pull")
        if options.dry_run:
            shell.say(DRY_RUN)

    return bootstrap


def _agreed(command: str, doubts: "Sequence[Complaint]") -> bool:
    """Ask at the terminal whether to go on despite these doubts; return whether the answer is yes.

    Raises:
        NotReady: there is no terminal to ask on.

    """
    from deploytasks.errors import Complaint, NotReady

    said = "; ".join(f"{doubt.where}: {doubt.what}" for doubt in doubts)
    answer = shell.ask(f"{said}: go on?")
    if answer is None:
        unasked = Complaint("envs.bootstrap", "there is no terminal to ask on", f"{command} --yes does it")
        raise NotReady(*doubts, unasked)
    return answer
