"""Real command lines against an endpoint that answers as AWS does: a git repository, two tenants, three tiers."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from invoke.program import Program

from deploytasks import namespace
from deploytasks.aws.operations import OPERATIONS
from deploytasks.rollout import follow
from tests import project
from tests.cloud.accounts import AwsError, Call
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World, run_everywhere, tenant_account, tenant_name

WRITES = {row.name for row in OPERATIONS.values() if row.writes}
REGISTRY = "012345678922"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind: its exit code and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        """The last JSON line."""
        document: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return document


@dataclass
class Shop:
    """The repository and the cloud that its commands speak to."""

    root: Path
    endpoint: Endpoint
    commits: dict[str, str]
    capture: Callable[[], tuple[str, str]]
    told: list[Call] = field(default_factory=list)
    commits_config: bool = True
    """Whether what a test changed in envs/ and templates/ is committed before a command runs."""
    committed: tuple[Any, ...] = ()
    """What `_config` was after the last commit: where it still is, git need not be asked."""

    def inv(self, *words: str) -> Ran:
        """Runs `inv WORDS` in the repository."""
        if self.commits_config and self._config() != self.committed:
            self._commit()
        self.capture()
        code = 0
        with chdir(self.root):
            try:
                Program(namespace=namespace(self.root)).run(["inv", *words])
            except SystemExit as exit:
                code = int(exit.code or 0)
        out, err = self.capture()
        return Ran(code, out, err)

    def commit(self) -> str:
        """Commits what changed in envs/ and templates/, and returns what HEAD is then."""
        self._commit()
        return self.git("rev-parse", "HEAD")

    def _commit(self) -> None:
        self.git("add", "-A", "--", "envs", "templates")
        if self.git("diff", "--cached", "--name-only"):
            self.git("commit", "-q", "-m", "Config")
        self.committed = self._config()

    def _config(self) -> tuple[Any, ...]:
        """Return what envs/ and templates/ hold, and which file git's index is: it is replaced whole."""
        files = [path for folder in ("envs", "templates") for path in (self.root / folder).rglob("*") if path.is_file()]
        index = (self.root / ".git/index").stat()
        return index.st_ino, index.st_mtime_ns, *sorted((str(path), path.read_bytes()) for path in files)

    def git(self, *words: str) -> str:
        """Runs git in the repository."""
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces text that is there."""
        path = self.root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def soak(self, length: str) -> None:
        """The tier `prod` soaks so long; no tier of the shop does otherwise."""
        self.edit("envs/project.toml", 'after = "staging"\nsoak = "0s"', f'after = "staging"\nsoak = "{length}"')

    def add_service(self, name: str) -> None:
        """One more service in envs/, with a template, but with no repository in ECR and no ECS service."""
        file = self.root / "envs/project.toml"
        file.write_text(f"{file.read_text()}\n[services.{name}]\n[images.{name}]\n")
        template = self.root / "templates/api.json.j2"
        (self.root / f"templates/{name}.json.j2").write_text(template.read_text())

    def add_running_service(self, name: str, image: str = "api", keys: str = "") -> None:
        """One more service of an image, with a template, that runs in every environment what `api` runs there.

        `keys` are further lines of its table, such as `after = ["api"]`.
        """
        file = self.root / "envs/project.toml"
        table = f'[services.{name}]\nimage = "{image}"\n{keys}\n[defaults.services.{name}]\nvars.port = 8081\n'
        file.write_text(f"{file.read_text()}\n{table}")
        template = (self.root / "templates/api.json.j2").read_text()
        (self.root / f"templates/{name}.json.j2").write_text(template)
        run_everywhere(self.endpoint.cloud, self.endpoint.world, name)

    def add_job(self, name: str = "nightly", table: str = 'schedule = "cron(0 3 * * ? *)"', *tiers: str) -> None:
        """One more job of the image `api`, in `prod` and these tiers, with a template like the service's."""
        file = self.root / "envs/project.toml"
        file.write_text(f'{file.read_text()}\n[jobs.{name}]\nimage = "api"\n{table}\n')
        for number in (1, 2):
            role = f'jobs.{name}.schedule_role = "arn:aws:iam::{tenant_account(number)}:role/schedule"\n'
            self.edit(f"envs/t{number}.toml", "cluster = ", f"{role}cluster = ")
            for tier in {"dev", "staging"} - set(tiers):
                self.edit(f"envs/t{number}.toml", f"[tiers.{tier}]", f"[tiers.{tier}]\njobs.{name}.absent = true")
        template = (self.root / "templates/api.json.j2").read_text()
        assert project.PORTS in template
        (self.root / f"templates/{name}.json.j2").write_text(template.replace(project.PORTS, ""))

    def tags(self) -> dict[str, str]:
        """Tag → digest of the repository."""
        return dict(self.endpoint.cloud.account(REGISTRY).repositories["api"].tags)

    def service(self, number: int, tier: str, name: str = "api") -> Any:
        """A tenant's ECS service as the cloud holds it."""
        account = self.endpoint.cloud.account(tenant_account(number))
        return account.clusters[f"{tenant_name(number)}-{tier}"].services[name]

    def writes(self) -> dict[str, int]:
        """The mutating calls so far, the lock's left out."""
        locks = {"PutParameter", "DeleteParameter"}
        counted = self.endpoint.operations()
        return {operation: counted[operation] for operation in WRITES - locks if counted[operation]}

    def refuse(self, operation: str, code: str, account: str = "") -> None:
        """From now on AWS answers the operation with an error."""

        def fault(call: Call) -> AwsError | None:
            hit = call.operation == operation and account in ("", call.account)
            return AwsError(code, "said no") if hit else None

        self.endpoint.fault = fault

    def rolls_out_until_followed(self) -> None:
        """From now on ten minutes pass at AWS once a command has looked at each tenant's services four times."""
        looks = Counter[str]()

        def fault(call: Call) -> None:
            if call.operation == "DescribeServices":
                looks[call.account] += 1
                if min(looks.values()) == 4:
                    self.endpoint.cloud.clock = lambda: time.time() + 600

        self.endpoint.fault = fault

    def interrupt(
        self,
        at: Callable[[Call], bool],
        number: signal.Signals = signal.SIGINT,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """At the first call that is meant this process is sent the signal, and then that is done.

        It is sent only once, and only while a command has taken signals over: a call of a thread that outlives its
        command would stop pytest itself.
        """
        mine, sent = signal.getsignal(number), False

        def fault(call: Call) -> None:
            nonlocal sent
            if not sent and at(call) and signal.getsignal(number) is not mine:
                sent = True
                os.kill(os.getpid(), number)
                then()

        self.endpoint.fault = fault


@pytest.fixture
def looks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout is looked at again after a tenth of a second, for most are over then."""
    monkeypatch.setattr(follow, "_NEAR_S", 0.1)


@pytest.fixture
def shop(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    looks_soon: None,
) -> Iterator[Shop]:
    """Two tenants, or as many as the test's indirect parameter says."""
    root, tenants = tmp_path / "repo", getattr(request, "param", 2)
    commits = dict(project.write(root, tenants))
    with Endpoint(World(tenants, commits), latency_s=0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)

        def capture() -> tuple[str, str]:
            captured = capsys.readouterr()
            return captured.out, captured.err

        made = Shop(root, endpoint, commits, capture)
        made.committed = made._config()
        yield made
