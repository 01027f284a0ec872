"""boto3's clients for tests, all of one session: to read a service's model anew costs a tenth of a second of CPU."""

from functools import cache
from typing import Any

import boto3
import moto.core  # noqa: F401  a session that is made before would pass moto by
from botocore.config import Config

from tests.cloud.accounts import REGION, REGISTRY_ACCOUNT, key_for


@cache
def _session() -> boto3.Session:
    return boto3.Session("testing", "testing", region_name=REGION)


def client(service: str, url: str | None = None, account: str = REGISTRY_ACCOUNT, **settings: Any) -> Any:
    """A client of moto, or of an account of the simulated AWS at that address. It tries no call again."""
    keys = {"aws_access_key_id": key_for(account), "aws_secret_access_key": "secret"} if url else {}
    token = {"aws_session_token": settings.pop("token", "token")} if url else {}
    config = Config(retries={"mode": "standard", "total_max_attempts": 1}, **settings)
    return _session().client(service, endpoint_url=url, config=config, **keys, **token)
