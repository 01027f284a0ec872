"""What others use for the same work: awscli in a script as the article has it, and PyPI's ecs-deploy.

Each is installed into a virtual environment of its own on first use. The script comes twice: as people write it, with
`aws sts assume-role` for each tenant, and with a profile a tenant, so that one process does both. ecs-deploy gets the
tenant's keys for nothing.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cloud.accounts import REGION, key_for
from tests.cloud.world import SERVICE, tenant_account, tenant_name

AWSCLI = "awscli==1.46.3"
ECS_DEPLOY = "ecs-deploy==1.17.0"
RELEASE = "prod-20260301T000000Z"
"""The tag that the script makes; nothing has it before."""

TAG = f"""\
set -eu
manifest=$("$AWS" ecr batch-get-image --repository-name {SERVICE} --image-ids imageTag="$COMMIT" \\
  --query 'images[].imageManifest' --output text)
"$AWS" ecr put-image --repository-name {SERVICE} --image-tag {RELEASE} --image-manifest "$manifest" >/dev/null
"""
BY_ROLE = f"""\
while read -r tenant role; do
  keys=$("$AWS" sts assume-role --role-arn "$role" --role-session-name release \\
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
  read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN <<<"$keys"
  AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY \\
    AWS_SESSION_TOKEN=$AWS_SESSION_TOKEN "$AWS" ecs update-service --cluster "$tenant-prod" --service {SERVICE} \\
    --force-new-deployment >/dev/null
done <"$TENANTS"
"""
BY_PROFILE = f"""\
while read -r tenant role; do
  "$AWS" --profile "$tenant" ecs update-service --cluster "$tenant-prod" --service {SERVICE} \\
    --force-new-deployment >/dev/null
done <"$TENANTS"
"""
PROFILE = """\
[profile {name}]
role_arn = {role}
credential_source = Environment
region = {region}
"""


def default_cache() -> Path:
    """Where other tools are installed for comparison, unless said otherwise: never in the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "deploytasks-bench"


def installed(cache: Path, requirement: str, command: str) -> str:
    """The command of a requirement, pinned as `name==version`, installed from PyPI if it is not there yet."""
    venv = cache / requirement.replace("==", "-")
    path = venv / "bin" / command
    if not path.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "python"), "-m", "pip", "install", "-q", requirement], check=True)
    return str(path)


def article(home: Path, aws: str, commit: str, tenants: int, *, profiles: bool) -> tuple[Sequence[str], dict[str, str]]:
    """The article's script for so many tenants, and what its environment has to add."""
    script, listed, config = home / f"article-{profiles}.sh", home / "tenants", home / "aws-config"
    script.write_text(TAG + (BY_PROFILE if profiles else BY_ROLE))
    roles = {tenant_name(n): f"arn:aws:iam::{tenant_account(n)}:role/deploy" for n in range(1, tenants + 1)}
    listed.write_text("".join(f"{name} {role}\n" for name, role in roles.items()))
    config.write_text("".join(PROFILE.format(name=name, role=role, region=REGION) for name, role in roles.items()))
    adds = {"AWS": aws, "COMMIT": commit, "TENANTS": str(listed), "AWS_CONFIG_FILE": str(config)}
    return ["bash", str(script)], adds


def in_turn(home: Path, ecs: str, commit: str, tenants: int) -> Sequence[str]:
    """A script that runs `ecs deploy -t` for one tenant after the other, with keys that are there already."""
    script = home / "ecs-deploy.sh"
    lines = [
        f"AWS_ACCESS_KEY_ID={key_for(tenant_account(number))} "
        f"{ecs} deploy {tenant_name(number)}-prod {SERVICE} -t {commit} --timeout -1 >/dev/null\n"
        for number in range(1, tenants + 1)
    ]
    script.write_text("set -eu\n" + "".join(lines))
    return ["bash", str(script)]
