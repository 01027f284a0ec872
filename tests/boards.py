"""Boards for the page's tests: one with everything there is to tell, a hostile one, and one as big as one likes."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from deploytasks.errors import Complaint
from deploytasks.model import Board, Cell, LockState
from tests.reports.situations import ARN, DIGEST, NEW, OLD, target

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TIERS = ("dev", "staging", "prod")
SCRIPT = "<script>document.title='owned'</script>"
IMAGE = '"><img src=x onerror="document.title=\'owned\'">'


def cell(tenant: str, tier: str, service: str = "api", **changes: Any) -> Cell:
    of = target(tenant, service, tier=tier)
    ordinary = Cell(
        target=of,
        standing="completed",
        commit=NEW,
        subject="Take orders of many articles at once",
        release=f"{tier}-20260101T103000Z",
        certified_at=datetime(2026, 1, 1, 10, 30, tzinfo=UTC),
        by="ada",
        ci="https://ci.example.com/runs/7",
        digests=(DIGEST,),
        evidence="seen",
        revision=f"{ARN}{of.family}:7",
        running=2,
        desired=2,
        since=AT - timedelta(hours=3),
    )
    return replace(ordinary, **changes)


def board(cells: Iterable[Cell], *notes: str, tiers: tuple[str, ...] = TIERS) -> Board:
    return Board("shop", tiers, tuple(cells), AT, notes)


def telling() -> Board:
    """Every mark and every standing, each tenant with a story of its own; `new` has no staging."""
    breaker = "ECS deployment circuit breaker: tasks failed to start.\ntask 0a1b2c3d: exit 1: KeyError: 'DATABASE_URL'"
    account = Complaint("envs/mb.toml:1: account", "the account is 999999999999", "fix `profile` there,\nor sign in")
    unread = replace(cell("mb", "prod"), release="", certified_at=None, by="", ci="", evidence=None, since=None)
    return board(
        (
            cell("main", "dev", since=AT - timedelta(seconds=20)),
            cell("main", "staging", standing="rolling", running=1, marks=("short", "rolling")),
            cell("main", "prod", commit=OLD, subject="", ci="by hand", wanted=NEW, marks=("behind", "mixed")),
            cell("mb", "dev", evidence="recorded", running=0, desired=0, marks=("drifted",), override="at night"),
            cell("mb", "staging", standing="rolled back", marks=("failed",), detail=breaker),
            replace(
                unread,
                marks=("mixed", "foreign"),
                foreign=("image", "revision"),
                commit="",
                subject="",
                digests=(DIGEST, "sha256:" + "cd" * 32),
                runs=(NEW, "sha256:" + "cd" * 32),
            ),
            cell("new", "dev", subject="Say why a payment failed", evidence="defined"),
            Cell(target("new", tier="prod"), "missing"),
            Cell(target("zoo", tier="dev"), "unseen", complaint=account),
            Cell(target("zoo", tier="prod"), "unseen", complaint=account.at("zoo-prod/api")),
        ),
        "drift could not be judged: templates/api.json.j2: there is no TOKEN",
    )


def held(made: Board) -> Board:
    """The board with a lock on prod, a hold on staging, and one on dev that covers only mb."""
    since = "2026-01-01T10:30:00Z"
    lock = LockState("prod", "ann@desk", since, "lock.acquire", reason="a frozen week")
    hold = LockState("staging", "bob", since, "release.rollback", reason="payments fail")
    return replace(made, locks=(lock,), holds=(hold, replace(hold, tier="dev", tenants=("new2", "mb"))))


def hostile() -> Board:
    """Names, subjects and complaints that would take the page over, or write it from right to left."""
    words = {"by": SCRIPT, "override": IMAGE, "release": SCRIPT, "wanted": IMAGE, "revision": f"x:{SCRIPT}"}
    turned = "\u202etxt.exe \x1b[31m\x00\u2066 \ud800 שלום"
    fell = Complaint(SCRIPT, IMAGE, f"{SCRIPT}\n{turned}")
    return replace(
        board(
            (
                cell(
                    SCRIPT, "prod", subject=IMAGE, commit=f"'{IMAGE}", ci="javascript:document.title='owned'", **words
                ),
                cell(IMAGE, "prod", subject=turned, detail=f"{IMAGE}\n{turned}", ci=f"https://x/{IMAGE}", by=turned),
                Cell(target("x" * 300, tier="prod"), "unseen", complaint=fell),
            ),
            SCRIPT,
            IMAGE,
            tiers=("prod",),
        ),
        project="</title>" + SCRIPT,
    )


def big(tenants: int) -> Board:
    """That many tenants with three tiers and two services each; every seventh target is behind."""
    targets = [(f"tenant-{at}", tier, service) for at in range(tenants) for service in ("api", "web") for tier in TIERS]
    odd = {"marks": ("behind",), "wanted": OLD}
    return board(cell(*each, **(odd if at % 7 == 3 else {})) for at, each in enumerate(targets))
