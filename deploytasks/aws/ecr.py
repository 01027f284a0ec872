"""Images and tags in ECR: find images, and re-tag them without moving a byte of a layer.

Every function takes an ECR client of the registry's account.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from operator import call
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from msgspec import Struct, field
from urllib3.exceptions import HTTPError

from deploytasks.aws.errors import translated
from deploytasks.concurrency import each
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import EcrImage, Platform

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MEDIA_TYPES = [
    *_INDEXES,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]
_NOT_THERE = frozenset({"ImageNotFound", "InvalidImageTag", "InvalidImageDigest", "ImageTagDoesNotMatchDigest"})
"""BatchGetImage's failures that mean no such image; with any other, the image exists but can't be read."""
_OK = 200
_MOST_BYTES = 1 << 20
"""The largest config blob that is read."""
_TIMEOUT_S = 4
_DEADLINE_S = 10.0
"""For the whole config blob, the DNS lookup included."""


def find(client: Any, repository: str, references: Iterable[str]) -> dict[str, EcrImage]:
    """Return the images that tags or digests name, by reference; those that do not exist are left out.

    Raises:
        AwsError: among others, there is no such repository.

    Source: ecr BatchGetImage (whose failures[] are the missing ones), then DescribeImages for all their tags.

    """
    wanted = tuple(dict.fromkeys(references))
    with translated(f"ECR {repository}"):
        manifests = _manifests(client, repository, wanted)
        details = _details(client, repository, sorted(manifests))
    images = [_image(repository, manifests[digest], detail) for digest, detail in details.items()]
    return {ref: image for ref in wanted for image in images if ref == image.digest or ref in image.tags}


def image_of(client: Any, repository: str, tag: str) -> EcrImage | None:
    """Return the image that the tag names; None if it names none, which costs a call more than with `find`.

    Its manifest and its tags are read at once. Where they are not of the same image, its tags are read again.

    Raises:
        AwsError: among others, there is no such repository.

    Source: ecr BatchGetImage, and DescribeImages, which answers ImageNotFoundException to a tag that names none.

    """

    def described() -> dict[str, Any]:
        try:
            return _details(client, repository, [tag])
        except client.exceptions.ImageNotFoundException:
            return {}

    with translated(f"ECR {repository}"):
        manifests, details = each(call, (lambda: _manifests(client, repository, [tag]), described))
        if not manifests.keys() <= details.keys():
            details = _details(client, repository, sorted(manifests))
    images = (_image(repository, manifests[digest], details[digest]) for digest in manifests if digest in details)
    return next((image for image in images if tag in image.tags), None)


def every(client: Any, repository: str) -> tuple[EcrImage, ...]:
    """Return all images of a repository, newest first: untagged ones too, and tagged indexes with their `children`.

    Source: ecr DescribeImages, in pages of 1,000; BatchGetImage for the tagged indexes alone, 100 a call.

    """
    with translated(f"ECR {repository}"):
        pages = client.get_paginator("describe_images").paginate(
            repositoryName=repository, PaginationConfig={"PageSize": 1000}
        )
        details = [detail for page in pages for detail in page["imageDetails"]]
        tagged = [each for each in details if each.get("imageTags") and each.get("imageManifestMediaType") in _INDEXES]
        indexes = _manifests(client, repository, map(_digest, tagged))
    images = (_image(repository, indexes.get(_digest(detail)), detail) for detail in details)
    return tuple(sorted(images, key=lambda image: str(image.pushed_at), reverse=True))


def point(client: Any, repository: str, digest: str, tags: Iterable[str]) -> None:
    """Point the tags at the digest, as `put` does, with the manifest as it is read for that.

    Raises:
        AwsError: there is no such image, or `put` raises it.

    """
    put(client, repository, manifest(client, repository, digest), tags)


def manifest(client: Any, repository: str, digest: str) -> Mapping[str, Any]:
    """Return the image as `put` takes it, with its manifest's exact bytes.

    Raises:
        AwsError: there is no such image, or its bytes are others.

    Source: ecr BatchGetImage.

    """
    with translated(f"ECR {repository}"):
        image: Mapping[str, Any] | None = _manifests(client, repository, [digest]).get(digest)
        if image is None:
            raise AwsError(Complaint(f"ECR {repository}", f"there is no image {digest} any more", "push it again"))
        _check_bytes(repository, digest, image["imageManifest"])
    return image


def put(client: Any, repository: str, image: Mapping[str, Any], tags: Iterable[str]) -> None:
    """Put the tags on the image one after the other, in the given order; then read them back.

    A tag that already names it counts as success.

    Raises:
        AwsError: `ImageTagAlreadyExistsException` if an immutable tag names another image.

    Source: ecr PutImage with the manifest's exact bytes and media type.

    """
    wanted, digest = tuple(tags), image["imageId"]["imageDigest"]
    with translated(f"ECR {repository}"):
        for tag in wanted:
            _put(client, repository, image, tag)
        there = _details(client, repository, [digest]).get(digest, {}).get("imageTags", [])
    missing = [tag for tag in wanted if tag not in there]
    if missing:
        what = f"{', '.join(missing)} should name {digest} and does not"
        to_do = "another command moved it at the same moment; run the same command again"
        raise AwsError(Complaint(f"ECR {repository}", what, to_do))


def login(client: Any, repository: str) -> tuple[str, str]:
    """Return the user name and password for pushes to the registry, valid for twelve hours. Never print or store them.

    Source: ecr GetAuthorizationToken.

    """
    with translated(f"ECR {repository}"):
        token = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    return user, password


def _manifests(client: Any, repository: str, references: Iterable[str]) -> dict[str, Any]:
    """Return BatchGetImage's images by digest. Raise AwsError if an image exists but can't be read."""
    found: dict[str, Any] = {}
    for batch in _hundreds(references):
        ids = _ids(batch)
        answer = client.batch_get_image(repositoryName=repository, imageIds=ids, acceptedMediaTypes=_MEDIA_TYPES)
        broken = [each for each in answer.get("failures", []) if each["failureCode"] not in _NOT_THERE]
        if broken:
            one = broken[0]
            raise AwsError.of(f"ECR {repository}", f"{one['failureCode']}: {one.get('failureReason', '')}".strip(": "))
        found |= {image["imageId"]["imageDigest"]: image for image in answer["images"]}
    return found


def _details(client: Any, repository: str, references: Iterable[str]) -> dict[str, Any]:
    """Return DescribeImages' images by digest. All of the references must exist."""
    details: dict[str, Any] = {}
    for batch in _hundreds(references):
        answer = client.describe_images(repositoryName=repository, imageIds=_ids(batch))
        details |= {detail["imageDigest"]: detail for detail in answer["imageDetails"]}
    return details


def _ids(references: Iterable[str]) -> list[dict[str, str]]:
    return [{"imageDigest" if ref.startswith("sha256:") else "imageTag": ref} for ref in references]


def _put(client: Any, repository: str, image: Mapping[str, Any], tag: str) -> None:
    try:
        client.put_image(
            repositoryName=repository,
            imageManifest=image["imageManifest"],
            imageManifestMediaType=image["imageManifestMediaType"],
            imageDigest=image["imageId"]["imageDigest"],
            imageTag=tag,
        )
    except client.exceptions.ImageAlreadyExistsException:
        return  # this manifest already has this tag


def _image(repository: str, got: Mapping[str, Any] | None, detail: Mapping[str, Any]) -> EcrImage:
    """Return the image as DescribeImages describes it, with the contents of its manifest if that was read."""
    manifest = json.loads(got["imageManifest"]) if got else {}
    children = manifest.get("manifests", [])
    return EcrImage(
        repository=repository,
        digest=_digest(detail),
        tags=tuple(detail.get("imageTags", ())),
        children=tuple(child["digest"] for child in children),
        pushed_at=detail.get("imagePushedAt"),
        platforms=_platforms(children),
        config=(manifest.get("config") or {}).get("digest", ""),
    )


def _platforms(children: Iterable[Mapping[str, Any]]) -> tuple[Platform, ...]:
    """Return the platforms of an index's images without attestations; () if any image does not name its platform.

    Source: OCI image-spec, image-index.md; BuildKit's attestation-storage.md (`unknown/unknown`).

    """
    named = [child.get("platform") or {} for child in children]
    found = [[str(each.get(key) or "") for key in ("os", "architecture", "variant")] for each in named]
    known = tuple(Platform.parse("/".join(each)) for each in found if each[0] != "unknown")
    return known if all(each[0] and each[1] for each in found) else ()


def _digest(detail: Mapping[str, Any]) -> str:
    digest: str = detail["imageDigest"]
    return digest


def _check_bytes(repository: str, digest: str, manifest: str) -> None:
    actual = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    if actual != digest:
        raise AwsError(Complaint(f"ECR {repository}", f"the manifest of {digest} hashes to {actual}", "push it again"))


def _hundreds(items: Iterable[str]) -> Iterator[list[str]]:
    every = list(items)
    return (every[start : start + 100] for start in range(0, len(every), 100))


class ImageConfig(Struct, frozen=True):
    """An image's platform and labels."""

    platform: Platform
    labels: Mapping[str, str] = field(default_factory=dict)


def image_config(client: Any, repository: str, config: str, *, deadline_s: float = _DEADLINE_S) -> ImageConfig:
    """Return the contents of the config blob with this digest.

    Its URL is signed: it is a secret, and needs no credentials. No error shows it.

    Raises:
        AwsError: ECR refuses it, its URL can't be reached, or it names no platform.

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
    """Return the blob. Give up at the deadline, also on a server that is silent or answers byte by byte."""
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
    """Return the blob, or why it could not be fetched, in words that do not show the URL."""
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
    """Return the request. An emulator, recognized by its endpoint without TLS, is asked even for AWS's own hosts."""
    there, wanted = urlsplit(endpoint), urlsplit(url)
    if there.scheme == "https" or wanted.scheme != "https":
        return AWSRequest("GET", url, stream_output=True).prepare()
    url = wanted._replace(scheme=there.scheme, netloc=there.netloc).geturl()
    return AWSRequest("GET", url, headers={"Host": wanted.netloc}, stream_output=True).prepare()
