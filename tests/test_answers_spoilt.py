"""AWS's answers spoilt on their way, one operation after the other, for every task: nothing escapes its target.

Each task of the namespace is tried, and of it each operation that it calls; so is one that was added yesterday. Each
operation is broken in every way in the scene that is there to show it, and elsewhere in one way of KINDS, by turns;
EVERY_CALL=1 tries every way everywhere, from an operation's first call on and from its last, which takes eight minutes.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle

import pytest

from deploytasks.aws import follow_task, retries, transport
from deploytasks.aws.operations import OPERATIONS, Operation
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Ran, Shop
from tests.every_task import SCENES, SHOWN, Played, hurry
from tests.faulty import set_silence
from tests.proxy import NONSENSE, Cut, Drip, Effect, Proxy, Rule, Spoil, Stale, account_meant

pytestmark = pytest.mark.waits
EVERY_CALL = bool(os.environ.get("EVERY_CALL"))
TWO = tenant_account(2)
KEEP_LOCK = {"lock.acquire", "release.matrix"}
SAME_AGAIN = "run the same command again"
LISTED = frozenset(map(".".join, OPERATIONS))
DRIPPING, LAGGING = Drip(0.02), Stale()
KINDS: Mapping[str, Effect] = {
    "HTML": NONSENSE["HTML"],
    "an empty object": NONSENSE["an empty object"],
    "cut in its middle": NONSENSE["cut in its middle"],
    "no answer": Cut("before"),
    "done, and no answer": Cut("after"),
    "dripping": DRIPPING,
    "as it was at first": LAGGING,
}
MAYBE_WELL = {"nothing", "an empty object"}
"""What is a whole answer of operations that tell nothing."""
REFUSING = "http://127.0.0.1:9"
NAMES = {"logs": "CLOUDWATCH_LOGS", "secretsmanager": "SECRETS_MANAGER"}
CHANGES = {
    *("PutImage", "UpdateService", "CreateService", "RunTask", "StopTask", "CreateRepository", "SetRepositoryPolicy"),
    *("ContinueServiceDeployment", "StopServiceDeployment"),
}
UNTOUCHED = "no tag was moved and no service touched"
GOES_ON = re.compile(
    r"to go on: inv |run the same command again|goes on from here|inv lock\.release prod|to follow: inv |aws ecs "
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one operation answers, for one account where tenants are asked, from its call of that number on."""

    operation: str
    account: str
    kind: str
    skip: int

    @property
    def rule(self) -> Rule:
        return Rule(KINDS[self.kind], self.operation.partition(".")[2], self.account, skip=self.skip)

    def is_told(self, said: str) -> bool:
        """Whether somebody who reads this knows what failed; nobody can know that a list lags."""
        names = self.account, self.operation.partition(".")[2], SAME_AGAIN
        return KINDS[self.kind] is LAGGING or any(name in said for name in names)


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """How a scene ends by itself, how often it calls what about which account, and whose keys sign what."""

    ran: Ran
    calls: Mapping[tuple[str, str], int]
    signed: frozenset[tuple[str, str]]

    @property
    def operations(self) -> list[str]:
        return list(dict.fromkeys(operation for operation, _ in self.calls))

    def rows(self, name: str) -> Iterator[Row]:
        """What is tried."""
        turn = list(SCENES).index(name)
        for number, operation in enumerate(self.operations):
            kinds = [kind for kind in KINDS if KINDS[kind] is not LAGGING or ".List" in operation]
            if not EVERY_CALL and operation not in SHOWN.get(name, "").split():
                kinds = [kinds[(turn + number) % len(kinds)]]
            accounts = [account for called, account in self.calls if called == operation]
            account = TWO if TWO in accounts else accounts[0]
            last = self.calls[operation, account] - 1
            for at, kind in enumerate(kinds):
                skips = sorted({0, last}) if EVERY_CALL else [last * ((turn + number + at) % 2)]
                yield from (Row(operation, account, kind, skip) for skip in skips)


_UNDISTURBED: dict[str, Undisturbed] = {}


def undisturbed(name: str, played: Played) -> Undisturbed:
    """The scene's own end, found out once."""
    if name not in _UNDISTURBED:
        ran, calls = played.run(), dict[tuple[str, str], int]()
        for call in (each.call for each in played.proxy.seen):
            key = f"{call.service}.{call.operation}", account_meant(call)
            calls[key] = calls.get(key, 0) + 1
        signed = ((f"{each.call.service}.{each.call.operation}", each.call.account) for each in played.proxy.seen)
        _UNDISTURBED[name] = Undisturbed(ran, calls, frozenset(signed))
    return _UNDISTURBED[name]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for what may come back, either."""
    hurry(monkeypatch)
    monkeypatch.setattr(follow_task, "_OUTAGE_S", 0.5)


@pytest.mark.parametrize("name", SCENES)
def test_every_operation_may_be_answered_with_nonsense_once(shop: Shop, proxy: Proxy, name: str):
    """AWS has done what it was asked, and each operation's first answer is spoilt: the end is the undisturbed one."""
    played = Played(shop, proxy, SCENES[name])
    well, kinds = undisturbed(name, played), cycle(NONSENSE[each] for each in NONSENSE if each not in MAYBE_WELL)
    ran = played.run(*(Rule(next(kinds), each.partition(".")[2], times=1) for each in well.operations))
    assert not escaped(ran)
    assert (ran.code, outcomes(ran)) == (well.ran.code, outcomes(well.ran)), ran
    assert bool(played.locks) is (SCENES[name].task in KEEP_LOCK)


@pytest.mark.long
@pytest.mark.timeout(3600 if EVERY_CALL else 600)
@pytest.mark.parametrize("name", SCENES)
def test_whatever_is_answered_badly_for_good_ends_its_target_alone_with_the_lock_free_and_what_to_do(
    shop: Shop, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
):
    played = Played(shop, proxy, SCENES[name])
    well, wrong = undisturbed(name, played), dict[Row, object]()
    for row in well.rows(name):
        for silence_s in (0.25, 3.0):  # a busy machine may be later than the first with answers that are whole
            with monkeypatch.context() as impatient:
                if KINDS[row.kind] is DRIPPING:
                    set_silence(impatient, silence_s)
                    impatient.setattr(transport, "ANSWER_S", silence_s / 2)
                    impatient.setattr(retries, "ATTEMPTS_IN_SILENCE", 2)
                ran = played.run(row.rule)
            faults = list(violated(played, row, well.ran, ran))
            if not faults or KINDS[row.kind] is not DRIPPING:
                break
        if faults:
            wrong[row] = (faults, ran)
    assert not wrong, "\n".join(f"{row}: {found}" for row, found in wrong.items())


def violated(played: Played, row: Row | None, well: Ran, ran: Ran) -> Iterator[str]:
    """What ought to hold, however AWS answers, and does not."""
    said, changed = ran.stdout + ran.stderr, CHANGES & set(played.shop.endpoint.operations())
    if words := escaped(ran):
        yield f"it shows {words}"
    if ran.code not in {well.code, 1, 2}:
        yield "nobody knows such an exit code"
    if ran.code == 2 and changed:
        yield f"it says that nothing was changed, and made calls of {sorted(changed)}"
    is_twos = row and row.account == TWO and not (ran.code == 2 or UNTOUCHED in said)
    if is_twos and not outcomes(well, "t1") <= outcomes(ran, "t1"):
        yield "the other tenant fares otherwise"
    if row and ran.code == well.code and outcomes(ran) != outcomes(well) and not row.is_told(said):
        yield "something is missing, and nobody is told why"
    freeing = SAME_AGAIN if played.scene.task == "lock.release" else "inv lock.release prod"
    if played.locks and played.scene.task not in KEEP_LOCK and freeing not in said:
        yield "the lock is left silently"
    if ran.code != well.code and not GOES_ON.search(said):
        yield "nobody knows how to go on"


@pytest.mark.parametrize("name", SCENES)
def test_a_service_that_refuses_connections_is_told_of_with_the_lock_free_and_what_to_do(
    shop: Shop, proxy: Proxy, name: str
):
    played = Played(shop, proxy, SCENES[name])
    well = undisturbed(name, played)
    services = sorted({operation.partition(".")[0] for operation in well.operations})
    turn = list(SCENES).index(name)
    for service in services if EVERY_CALL else services[turn % max(1, len(services)) :][:1]:
        ran = played.run(environment={f"AWS_ENDPOINT_URL_{NAMES.get(service, service.upper())}": REFUSING})
        assert not list(violated(played, None, well.ran, ran)), (service, ran)


def test_some_scene_shows_each_operation_that_this_package_calls():
    shown = {operation for shown in SHOWN.values() for operation in shown.split()}
    assert shown == LISTED, "SHOWN in tests/every_task.py names a scene that makes the call"


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_calls_what_it_shows_and_nothing_that_is_not_listed(shop: Shop, proxy: Proxy, name: str):
    called = set(undisturbed(name, Played(shop, proxy, SCENES[name])).operations)
    assert set(SHOWN.get(name, "").split()) <= called <= LISTED


@pytest.mark.parametrize("name", SCENES)
def test_each_call_is_made_by_the_role_that_has_its_right(shop: Shop, proxy: Proxy, name: str):
    """Whoever assumes the roles has the registry's account here."""
    for called, account in undisturbed(name, Played(shop, proxy, SCENES[name])).signed:
        service, _, operation = called.partition(".")
        right = OPERATIONS[service, operation].right
        if right:
            assert (account == REGISTRY) is (right.role != "tenant"), called


WRITES = [
    (name, row)
    for name, shown in SHOWN.items()
    for row in OPERATIONS.values()
    if row.writes and f"{row.service}.{row.name}" in shown.split()
]
ONLY_ONCE_ENDED = "StopServiceDeployment"
"""AWS refuses to stop what has ended, and lets what is being stopped be stopped again."""


@pytest.mark.parametrize(("name", "row"), WRITES, ids=lambda each: getattr(each, "action", each))
def test_a_write_whose_answer_is_lost_is_repeated_and_refused_only_where_its_row_says_so(
    shop: Shop, proxy: Proxy, name: str, row: Operation
):
    played = Played(shop, proxy, SCENES[name])
    well, answers = undisturbed(name, played), list[bytes]()
    account = TWO if (f"{row.service}.{row.name}", TWO) in well.calls else ""

    def keep(answer: bytes) -> bytes:
        answers.append(answer)
        return answer

    ran = played.run(Rule(Cut("after"), row.name, account, times=1), Rule(Spoil(keep), row.name, account))
    assert (ran.code, outcomes(ran)) == (well.ran.code, outcomes(well.ran)), ran
    is_refused = not answers[0].startswith(b"HTTP/1.1 200")
    assert is_refused is (row.repeat == "refused") or row.name == ONLY_ONCE_ENDED, answers[0]


def escaped(ran: Ran) -> list[str]:
    """The words of an exception that nobody foresaw."""
    return [word for word in ("Traceback", "unforeseen", "KeyError") if word in ran.stdout + ran.stderr]


def outcomes(ran: Ran, tenant: str = "t[12]") -> set[str]:
    """What is told of each target or tenant first: how it ended, what it runs."""
    return set(re.findall(rf"^({tenant}\S*(?:  +|: )[a-z0-9]+(?: back)?)", ran.stdout, re.M))
