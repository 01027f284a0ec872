"""What a plain image is built for, and its labels, as its config blob in ECR says.

Takes an ECR client of the registry's account.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from deploytasks.aws.failures import translated
from deploytasks.errors import AwsError
from deploytasks.model import Platform

_OK = 200
_MOST_BYTES = 1 << 20
_TIMEOUT_S = 4
_DEADLINE_S = 10.0
"""For the whole blob, looking up the host's name included."""


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image is built for, and its labels."""

    platform: Platform
    labels: Mapping[str, str] = field(default_factory=dict)


def read(client: Any, repository: str, config: str, *, deadline_s: float = _DEADLINE_S) -> ImageConfig:
    """Return what the config with this digest says.

    Its address is signed: it is a secret, and needs no credentials. No error shows it.

    Raises:
        AwsError: ECR refuses it, its address is out of reach, or it names no platform.

    Source: ecr GetDownloadUrlForLayer, which knows a config blob as a layer; OCI image-spec, config.md.

    """
    where = f"ECR {repository}"
    with translated(where):
        url = str(
            client.get_download_url_for_layer(repositoryName=repository, layerDigest=config).get("downloadUrl", "")
        )
    blob = _within(deadline_s, where, url, client.meta.endpoint_url)
    if f"sha256:{hashlib.sha256(blob).hexdigest()}" != config:
        raise AwsError.of(where, "the config blob has another digest")
    return _named(where, blob)


def _named(where: str, blob: bytes) -> ImageConfig:
    try:
        match json.loads(blob):
            case {"os": str() as system, "architecture": str() as architecture, **rest} if system and architecture:
                platform = Platform.parse("/".join((system, architecture, str(rest.get("variant") or ""))))
                return ImageConfig(platform, _labels(rest.get("config")))
    except (ValueError, RecursionError):
        pass
    raise AwsError.of(where, "the config blob names no platform")


def _labels(config: Any) -> dict[str, str]:
    match config:
        case {"Labels": dict() as labels}:
            return {key: value for key, value in labels.items() if isinstance(value, str)}
    return {}


def _within(deadline_s: float, where: str, url: str, endpoint: str) -> bytes:
    """Return the blob; a server that is silent, or answers byte by byte, is waited for until the deadline only."""
    answers: SimpleQueue[bytes | str] = SimpleQueue()
    Thread(target=lambda: answers.put(_fetched(url, endpoint)), daemon=True).start()
    try:
        answer = answers.get(timeout=deadline_s)
    except Empty:
        answer = f"no answer within {deadline_s:g} s"
    if isinstance(answer, str):
        raise AwsError.of(where, f"config blob: {answer}")
    return answer


def _fetched(url: str, endpoint: str) -> bytes | str:
    """Return the blob, or what hindered that, in words that do not show the address."""
    try:
        request = _request(url, endpoint)
        verify: Any = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True
        session = URLLib3Session(verify=verify, proxies=get_environ_proxies(request.url), timeout=_TIMEOUT_S)
        with closing(session.send(request).raw) as answer:
            if answer.status != _OK:
                return f"HTTP {answer.status}"
            blob: bytes = answer.read(_MOST_BYTES + 1)
    except (BotoCoreError, HTTPClientError, HTTPError, OSError, ValueError) as error:
        return type(error).__name__
    return blob if len(blob) <= _MOST_BYTES else f"more than {_MOST_BYTES:,} bytes"


def _request(url: str, endpoint: str) -> Any:
    """Return the request; an emulator, known by an endpoint without TLS, is asked itself, also for AWS's own hosts."""
    there, wanted = urlsplit(endpoint), urlsplit(url)
    if there.scheme == "https" or wanted.scheme != "https":
        return AWSRequest("GET", url, stream_output=True).prepare()
    url = wanted._replace(scheme=there.scheme, netloc=there.netloc).geturl()
    return AWSRequest("GET", url, headers={"Host": wanted.netloc}, stream_output=True).prepare()
