"""Runs of a command as values: what was told on the way, and the report at its end."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

from deploytasks.model import (
    Access,
    Build,
    DeadTask,
    Deployment,
    DesiredImage,
    Ended,
    Environment,
    Event,
    Image,
    Live,
    Outcome,
    Plan,
    Planned,
    Progress,
    Report,
    Result,
    Rollout,
    TagStep,
    Target,
    Tier,
    Told,
)
from deploytasks.report.paint import painted
from deploytasks.report.sheet import Sheet

EXPECTED = Path(__file__).parent
NEW = "1a2b3c4d" * 5
OLD = "9f8e7d6c" * 5
RELEASE = "prod-20260102T030400Z"
DIGEST = "sha256:" + "ab" * 32
HOST = "012345678922.dkr.ecr.us-east-1.amazonaws.com"
ARN = "arn:aws:ecs:us-east-1:222222222222:task-definition/"
PROD = Tier("prod", "immutable", after="staging")


def fitted_to(sheet: Sheet, width: int) -> str:
    """Return what a terminal of that width shows of the sheet, without colour and trailing spaces."""
    screen = StringIO()
    Console(file=screen, width=width, force_terminal=False, highlight=False, emoji=False).print(painted(sheet))
    return "".join(f"{line.rstrip()}\n" for line in screen.getvalue().splitlines())


@dataclass(frozen=True)
class Situation:
    """Events, then the end."""

    events: tuple[Event, ...]
    report: Report


def expect(name: str, text: str) -> None:
    """The text is, to the letter, what the file of that name holds; REWRITE=1 makes it so."""
    file = EXPECTED / name
    if os.environ.get("REWRITE") == "1":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def ticking() -> Callable[[], datetime]:
    """A clock that is a second later each time it is read."""
    seconds: Iterator[int] = iter(range(10_000))
    return lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=next(seconds))


def target(tenant: str = "main", service: str = "api", *, tier: str = "prod", wave: int = 1) -> Target:
    environment = Environment(tenant, tier)
    return Target(
        environment=environment,
        name=service,
        images={service: f"{HOST}/{service}"},
        access=Access("222222222222", "us-east-1"),
        cluster=str(environment),
        ecs_service=service,
        family=f"shop-{environment}-{service}",
        wave=wave,
    )


def live(of: Target, revision: int = 7) -> Live:
    primary = Deployment("ecs-svc/1", "PRIMARY", "COMPLETED", f"{ARN}{of.family}:{revision}", 2, 2)
    return Live(of, exists=True, deployments=(primary,), desired=2, running=2)


def desired(service: str = "api", digest: str | None = DIGEST) -> DesiredImage:
    return DesiredImage(service, service, NEW, digest, RELEASE)


def update(of: Target, *, digest: str | None = DIGEST, env: Mapping[str, str] | None = None) -> Rollout:
    pairs = [{"name": name, "value": value} for name, value in (env or {"LOG_LEVEL": "info"}).items()]
    return Rollout(
        target=of,
        action="update",
        reason="9f8e7d6 → 1a2b3c4",
        desired=desired(of.name, digest),
        images={of.name: f"{HOST}/{of.name}@{digest}"},
        request={"family": of.family, "containerDefinitions": [{"name": of.name, "environment": pairs}]},
        live=live(of),
    )


def nothing(of: Target) -> Rollout:
    return replace(update(of), action="nothing", reason="it runs this already", request=None)


def create(of: Target) -> Rollout:
    return replace(update(of), action="create", reason="the service is not there yet", live=Live(of), create={})


def tag_step(*, digest: str | None = DIGEST, there: bool = False) -> TagStep:
    return TagStep("api", "api", digest, NEW, RELEASE, "prod", mint=not there, move=not there, before=OLD)


def build() -> Build:
    return Build(Image("api", "api"), NEW, NEW)


def ended(of: Target, outcome: Outcome = "deployed", **changes: object) -> Result:
    result = Result(
        target=of,
        outcome=outcome,
        revision=f"{ARN}{of.family}:8",
        commit_tag=NEW,
        release=RELEASE,
        digest=DIGEST,
        evidence="seen" if outcome == "deployed" else None,
        running=2,
        desired=2,
        duration_s=72.4,
    )
    return replace(result, **changes)


def not_attempted(of: Target) -> Result:
    return Result(of, "not attempted", "wave 1 did not go well", commit_tag=NEW, release=RELEASE)


def rolling(of: Target, running: int) -> Progress:
    event = f"(service {of.name}) has started 1 tasks: (task 0a1b2c3d)."
    return Progress(of, "rolling", f"{ARN}{of.family}:8", running, 2, event)


def _all_good() -> Situation:
    dev, mb = target(tier="dev"), target("mb", tier="dev")
    release = "dev-20260102T030400Z"
    step = replace(tag_step(), tier_tag="dev", release=release)
    plan = Plan(Tier("dev", "mutable"), (build(),), (step,), ((update(dev), update(mb)),))
    results = (ended(dev, release=release), ended(mb, release=release))
    return Situation(
        (
            Told("lock", "taken"),
            Planned(plan),
            Told("build", "Step 1/2 : FROM scratch\nStep 2/2 : COPY api /api\n", "api"),
            Told("push", f"api:{NEW}", "api"),
            rolling(dev, 1),
            rolling(dev, 1),
            rolling(mb, 1),
            rolling(dev, 2),
            *map(Ended, results),
        ),
        Report("release.dev", plan, results),
    )


def _rolled_back() -> Situation:
    main, mb = target(), target("mb")
    plan = Plan(PROD, (), (tag_step(),), ((update(main), update(mb)),))
    dead = DeadTask(
        id="0a1b2c3d4e5f",
        reason="Essential container in task exited",
        exits=("api: exit 1",),
        log=("Traceback (most recent call last):", '  File "api.py", line 3, in <module>', "KeyError: 'DATABASE_URL'"),
    )
    back = ended(
        mb,
        "rolled back",
        detail="ECS deployment circuit breaker: tasks failed to start. Back on shop-mb-prod-api:7.",
        running=0,
        tasks=(dead,),
    )
    return Situation(
        (Planned(plan), rolling(main, 1), rolling(mb, 0), Ended(ended(main)), Ended(back)),
        Report("release.prod", plan, (ended(main), back), ("to resume: inv release.prod --tenant mb",)),
    )


def _nothing_to_do() -> Situation:
    plan = Plan(PROD, (), (tag_step(there=True),), ((nothing(target()), nothing(target("mb"))),))
    same = tuple(
        ended(each.target, "unchanged", revision=f"{ARN}{each.target.family}:7", evidence="defined", duration_s=0.0)
        for each in plan.rollouts
    )
    return Situation((Planned(plan), *map(Ended, same)), Report("release.prod", plan, same))


def _dry_run() -> Situation:
    unbuilt = update(target("mb"), digest=None)
    waves = ((unbuilt,), (create(target("acme", wave=2)),))
    notes = ("not checked: whether 3 roles exist: GetRole is denied in account 222222222222",)
    plan = Plan(PROD, (build(),), (tag_step(digest=None),), waves, notes)
    return Situation((Planned(plan),), Report("release.prod", plan, dry_run=True))


def _superseded() -> Situation:
    main, mb, acme, last = target(), target("mb", wave=2), target("acme", wave=2), target("late", wave=2)
    plan = Plan(PROD, (), (tag_step(),), ((update(main),), (update(mb), update(acme), update(last))))
    lost = ended(main, "superseded", detail="deployment ecs-svc/9 (shop-prod-api:9) replaced ours")
    rest = tuple(map(not_attempted, (mb, acme, last)))
    return Situation(
        (Planned(plan), rolling(main, 1), Ended(lost), *map(Ended, rest)),
        Report("deploy.prod", plan, (lost, *rest), ("to resume: inv deploy.prod",)),
    )


def _zero_desired() -> Situation:
    main, mb = target(), target("mb")
    plan = Plan(PROD, waves=((update(main), update(mb)),))
    idle = ended(mb, desired=0, running=0, evidence="recorded")
    return Situation((Planned(plan), Ended(idle)), Report("deploy.prod", plan, (ended(main), idle)))


def _hostile() -> Situation:
    evil = target("[red]mb[/red]\x1b[31m\x07", "a\u202epi")
    plan = Plan(PROD, waves=((replace(update(evil), reason="[bold]x[/bold]\nnext :smile:"),),))
    dead = DeadTask(
        "[link=x]0a[/link]",
        "\x1b]0;owned\x07it \x1b[2Jdied",
        ("api: exit 1\r\n\x9b31mred",),
        ("[/] not markup", "10 %\r20 %", "\tpostgres://api:hunter2@db/shop", "\x1bP1;2|device\x1b\\ \ud800 end"),
    )
    fell = ended(evil, "failed", detail="[not markup]\x00\nsecond line", tasks=(dead,))
    return Situation(
        (Told("push", "\x1b[1A\x1b[2Kgone? [/red]"), Planned(plan), rolling(evil, 1), Ended(fell)),
        Report("deploy.prod", plan, (fell,), ("who stays behind: [red]acme[/red]\x1b[0m",)),
    )


SITUATIONS: dict[str, Situation] = {
    "all-good": _all_good(),
    "rolled-back": _rolled_back(),
    "nothing-to-do": _nothing_to_do(),
    "dry-run-unbuilt": _dry_run(),
    "superseded-not-attempted": _superseded(),
    "zero-desired": _zero_desired(),
    "hostile-names": _hostile(),
}
