"""A git repository that uses deploytasks for N tenants, written into a folder: what a team of that size would have.

Its first two commits are the same whatever N is, so that one endpoint's images serve repositories of any size.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cloud.accounts import REGION, REGISTRY_ACCOUNT, key_for
from tests.cloud.world import EXPRESSION, ONE_SERVICE, SERVICE, Age, Runs, tenant_account, tenant_name

ROOT = Path(__file__).resolve().parents[1]
TASKS = """\
from pathlib import Path

from deploytasks import namespace

ns = namespace(Path(__file__).parent)
"""
PROJECT = """\
[project]
name = "shop"

[registry]
account = "{registry}"
region = "{region}"

[images.{service}]
repository = "{service}"
context = "."
[services.{service}]

[tiers.dev]
tag = "mutable"
pin = "tag"
soak = "0s"
[tiers.staging]
tag = "mutable"
after = "dev"
soak = "0s"
[tiers.prod]
tag = "immutable"
after = "staging"
soak = "0s"
{policy}
[defaults]
cpu = 256
memory = 512
[defaults.env]
LOG_LEVEL = "info"
HTTP_TIMEOUT = "30"
[defaults.services.{service}]
vars.port = 8080
"""
FURTHER_SERVICE = """\
[services.{name}]
[defaults.services.{name}]
vars.port = 8081
"""
JOB = """\
[jobs.{name}]
schedule = "{schedule}"
[defaults.jobs.{name}]
schedule_role = "arn:aws:iam::{{account}}:role/schedule"
"""
TENANT = """\
account = "{account}"
region = "{region}"
role = "arn:aws:iam::{account}:role/deploy"
cluster = "{{tenant}}-{{tier}}"

[env]
TENANT = "{name}"
FEATURE_BULK_ORDERS = "on"
FEATURE_INVOICES = "off"
SUPPORT_ADDRESS = "support@{name}.example"
[secrets]
DATABASE_URL = "arn:aws:secretsmanager:{region}:{account}:secret:db"
SESSION_KEY = "arn:aws:secretsmanager:{region}:{account}:secret:session"
[vars]
subnets = ["subnet-1", "subnet-2"]
security_groups = ["sg-1"]

[tiers.dev]
env.LOG_LEVEL = "debug"
[tiers.staging]
[tiers.prod]
cpu = 1024
memory = 2048
env.LOG_LEVEL = "warning"
services.api.env.WORKERS = "8"
"""
TEMPLATE = """\
{
  "family": {{ family | tojson }},
  "networkMode": "awsvpc",
  "requiresCompatibilities": ["FARGATE"],
  "cpu": "{{ cpu }}",
  "memory": "{{ memory }}",
  "executionRoleArn": "arn:aws:iam::{{ account }}:role/execution",
  "containerDefinitions": [
    {
      "name": {{ service | tojson }},
      "image": {{ image | tojson }},
      "essential": true,
      "portMappings": [{"containerPort": {{ vars.port }}}],
      "environment": {{ env | environment | tojson }},
      "secrets": {{ secrets | secrets | tojson }},
      "logConfiguration": {
        "logDriver": "awslogs",
        "options": {
          "awslogs-group": "/ecs/{{ family }}",
          "awslogs-region": {{ region | tojson }},
          "awslogs-stream-prefix": {{ service | tojson }}
        }
      }
    }
  ]
}
"""
PORTS = '      "portMappings": [{"containerPort": {{ vars.port }}}],\n'
"""What of the template a job must not have."""


def inv() -> str:
    """The `inv` beside the Python that runs this."""
    return str(Path(sys.executable).with_name("inv"))


def environment(url: str, home: Path, account: str = REGISTRY_ACCOUNT) -> dict[str, str]:
    """All that a command finds in its environment: that account's keys and the endpoint's address."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": key_for(account),
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def write(root: Path, tenants: int, shared: int = 1, policy: str = "", runs: Runs = ONE_SERVICE) -> Mapping[Age, str]:
    """The repository is there; its two commits are those that an endpoint's images are to carry.

    So many tenants as `shared` says have one account in common; `policy` is what the tier `prod` says besides.
    """
    commits, files = _made(tenants, shared, policy, runs)
    for name, content in files.items():
        path = root / name
        (path.parent if content is not None else path).mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
    return commits


@cache
def _made(tenants: int, shared: int, policy: str, runs: Runs) -> tuple[Mapping[Age, str], Mapping[Path, bytes | None]]:
    """Return the commits and the content of each file, None for a folder: git makes a repository once a process."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        _git(root, "init", "-q", "-b", "main")
        older = _commit(root, {"Dockerfile": "FROM scratch\n"})
        newer = _commit(root, {"Dockerfile": "FROM scratch\nLABEL release=two\n"})
        _commit(root, _files(tenants, shared, policy, runs))
        paths = [path for path in root.rglob("*") if path.suffix != ".sample"]  # hooks that git never runs
        found = {path.relative_to(root): path.read_bytes() if path.is_file() else None for path in paths}
    return {"older": older, "newer": newer}, found


def _files(tenants: int, shared: int, policy: str, runs: Runs) -> dict[str, str]:
    names = ((tenant_name(number), tenant_account(number, shared)) for number in range(1, tenants + 1))
    tenant_files = {
        f"envs/{name}.toml": TENANT.format(name=name, account=account, region=REGION) for name, account in names
    }
    settings = PROJECT.format(registry=REGISTRY_ACCOUNT, region=REGION, service=SERVICE, policy=policy)
    settings += "".join(FURTHER_SERVICE.format(name=name) for name in runs.service_names[1:])
    settings += "".join(JOB.format(name=name, schedule=EXPRESSION) for name in runs.job_names)
    assert PORTS in TEMPLATE
    templates = dict.fromkeys(runs.service_names, TEMPLATE) | dict.fromkeys(runs.job_names, TEMPLATE.replace(PORTS, ""))
    for_all = {"tasks.py": TASKS, "envs/project.toml": settings, ".gitignore": "__pycache__/\n"}
    return {**for_all, **{f"templates/{name}.json.j2": text for name, text in templates.items()}, **tenant_files}


def _commit(root: Path, files: Mapping[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "-m", "Next")
    return _git(root, "rev-parse", "HEAD")


def _git(root: Path, *words: str) -> str:
    """What git said; who commits and when is always the same, and nobody's own settings count."""
    moment = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *words], cwd=root, env={**os.environ, **moment, **alone}, check=True, capture_output=True
    )
    return done.stdout.decode().strip()
