"""ECR in memory: images by digest, tags that point at them, and PutImage with the exceptions as AWS names them."""

import base64
import fnmatch
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Cloud, Operation, invalid, page

IMAGES_A_CALL = 100
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
BLOBS = "/blobs/"
"""What the path of every blob begins with."""
SIGNATURE = "X-Amz-Signature=5ec4e7"
_ECR_IMAGE = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.[^/]+/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One manifest; `digest` is its own sha256."""

    digest: str
    manifest: str
    media_type: str
    pushed_at: float


@dataclass(slots=True)
class Repository:
    """One repository; `tags` maps a tag to a digest, `excluded` holds the wildcards of mutable tags."""

    name: str
    account: Account
    mutability: str = "IMMUTABLE_WITH_EXCLUSION"
    excluded: tuple[str, ...] = ()
    policy: str | None = None
    images: dict[str, StoredImage] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    """The repository's own tags, which are no image's."""

    def moves(self, tag: str) -> bool:
        """Whether the tag may point at another image."""
        listed = any(fnmatch.fnmatchcase(tag, pattern) for pattern in self.excluded)
        return self.mutability.startswith("MUTABLE") != listed

    def tags_of(self, digest: str) -> list[str]:
        """The tags of one image."""
        return [tag for tag, holder in self.tags.items() if holder == digest]

    def store(self, manifest: str, media_type: str = MANIFEST) -> StoredImage:
        """The image of a manifest, stored under its digest."""
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
        image = StoredImage(digest, manifest, media_type, self.account.cloud.clock())
        return self.images.setdefault(digest, image)

    def push(self, commit: str, platform: str = "linux/amd64", **labels: str) -> StoredImage:
        """Store a plain image that is the commit's alone, with its config, under the commit's tag."""
        system, architecture = platform.split("/")[:2]
        config = json.dumps(
            {"os": system, "architecture": architecture, "config": {"Labels": labels | {"commit": commit}}}
        )
        digest = f"sha256:{hashlib.sha256(config.encode()).hexdigest()}"
        self.blobs[digest] = config.encode()
        named = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digest}
        said = {"schemaVersion": 2, "mediaType": MANIFEST, "config": named, "layers": []}
        image = self.store(json.dumps(said, indent=3))
        self.tags[commit] = image.digest
        return image

    def find(self, image_id: Mapping[str, str]) -> StoredImage | None:
        """The image of an imageId, whose digest and tag must agree where both are given."""
        digest = self.tags.get(image_id["imageTag"]) if "imageTag" in image_id else image_id.get("imageDigest")
        if digest is None or image_id.get("imageDigest", digest) != digest:
            return None
        return self.images.get(digest)


def resolve(cloud: Cloud, image: str) -> str | None:
    """The digest that a task would pull now: None where ECR has no such image, made up for other registries."""
    name = _ECR_IMAGE.fullmatch(image)
    if name is None:
        return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
    repository = cloud.account(name["account"]).repositories.get(name["repository"])
    wanted = {"imageDigest": name["digest"]} if name["digest"] else {"imageTag": name["tag"] or "latest"}
    found = repository.find(wanted) if repository else None
    return found.digest if found else None


def describe_images(account: Account, ask: Ask) -> Answer:
    """Source: DescribeImages, by ids or paged."""
    repository = repository_of(account, ask)
    if "imageIds" not in ask:
        size = int(ask.get("maxResults", 100))
        images, more = page(list(repository.images.values()), ask, min(size, 1000))
        return {"imageDetails": [_detail(repository, image) for image in images], **more}
    found = []
    for image_id in _ids(ask):
        image = repository.find(image_id)
        if image is None:
            raise AwsError("ImageNotFoundException", f"The image with imageId {image_id} does not exist.")
        found.append(_detail(repository, image))
    return {"imageDetails": found}


def _detail(repository: Repository, image: StoredImage) -> dict[str, Any]:
    tags = repository.tags_of(image.digest)
    return {
        "registryId": repository.account.id,
        "repositoryName": repository.name,
        "imageDigest": image.digest,
        **({"imageTags": tags} if tags else {}),
        "imageSizeInBytes": 123_456_789,
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
    }


def batch_get_image(account: Account, ask: Ask) -> Answer:
    """Source: BatchGetImage; what is missing comes among the failures."""
    repository = repository_of(account, ask)
    images, failures = [], []
    for image_id in _ids(ask):
        image = repository.find(image_id)
        if image is None:
            failures.append({"imageId": image_id, **_failure(repository, image_id)})
        else:
            images.append(_with_manifest(repository, image, image_id.get("imageTag")))
    return {"images": images, "failures": failures}


def _failure(repository: Repository, image_id: Mapping[str, str]) -> dict[str, str]:
    """Why there is no image of that id. Source: botocore's ImageFailureCode."""
    digest = image_id.get("imageDigest", "sha256:" + "0" * 64)
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        return {"failureCode": "InvalidImageDigest", "failureReason": "Invalid request parameters: image digest"}
    if image_id.get("imageTag") in repository.tags and digest in repository.images:
        reason = "The image tag and the image digest name different images"
        return {"failureCode": "ImageTagDoesNotMatchDigest", "failureReason": reason}
    return {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}


def _with_manifest(repository: Repository, image: StoredImage, tag: str | None) -> dict[str, Any]:
    return {
        "registryId": repository.account.id,
        "repositoryName": repository.name,
        "imageId": {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})},
        "imageManifest": image.manifest,
        "imageManifestMediaType": image.media_type,
    }


def put_image(account: Account, ask: Ask) -> Answer:
    """Source: PutImage."""
    repository, manifest = repository_of(account, ask), ask["imageManifest"]
    said = as_json(manifest, "ImageManifest")
    media_type = ask.get("imageManifestMediaType") or said.get("mediaType")
    if media_type is None:
        raise invalid("imageManifestMediaType is required for this manifest.")
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    if ask.get("imageDigest", digest) != digest:
        raise AwsError("ImageDigestDoesNotMatchException", f"The manifest's digest is {digest}.")
    tag = ask.get("imageTag")
    _check_tag(repository, digest, tag)
    _check_children(repository, digest, said)
    image = repository.store(manifest, media_type)
    if tag:
        repository.tags[tag] = digest
    return {"image": _with_manifest(repository, image, tag)}


def _check_tag(repository: Repository, digest: str, tag: str | None) -> None:
    holder = repository.tags.get(tag) if tag else None
    if holder == digest or (tag is None and digest in repository.images):
        raise AwsError("ImageAlreadyExistsException", f"Image with digest '{digest}' and tag '{tag}' already exists.")
    if tag and holder and not repository.moves(tag):
        message = f"The image tag '{tag}' already exists and cannot be overwritten because the tag is immutable."
        raise AwsError("ImageTagAlreadyExistsException", message)


def _check_children(repository: Repository, digest: str, manifest: Mapping[str, Any]) -> None:
    """Source: PutImage's ReferencedImagesNotFoundException. That an index already there is not checked is a guess."""
    missing = {child["digest"] for child in manifest.get("manifests", [])} - repository.images.keys()
    if missing and digest not in repository.images:
        what = f"The manifest list references images that do not exist: {', '.join(sorted(missing))}"
        raise AwsError("ReferencedImagesNotFoundException", what)


def as_json(text: str, member: str) -> dict[str, Any]:
    """What a member of a request says. Source of the words: moto, which quotes ECR."""
    try:
        said: dict[str, Any] = json.loads(text)
    except ValueError:
        raise invalid(f"Invalid parameter at '{member}' failed to satisfy constraint: 'Invalid JSON syntax'") from None
    return said


def get_download_url_for_layer(account: Account, ask: Ask) -> Answer:
    """Source: GetDownloadUrlForLayer, whose address is S3's and signed; a config blob is a layer to it."""
    repository, digest = repository_of(account, ask), ask["layerDigest"]
    if digest not in repository.blobs:
        raise AwsError("LayersNotFoundException", f"The layer with digest '{digest}' does not exist in the repository.")
    path = f"{BLOBS}{repository.account.id}/{repository.name}/{digest}"
    return {"downloadUrl": f"{account.cloud.address}{path}?{SIGNATURE}", "layerDigest": digest}


def blob(cloud: Cloud, path: str) -> bytes:
    """Return the blob at a path that was given out."""
    path, _, query = path.removeprefix(BLOBS).partition("?")
    owner, _, name = path.partition("/")
    repository, _, digest = name.rpartition("/")
    if query != SIGNATURE:
        raise AwsError("AccessDenied", "Access Denied", 403)
    content: bytes = cloud.account(owner).repositories[repository].blobs[digest]
    return content


def get_authorization_token(account: Account, ask: Ask) -> Answer:
    """Source: GetAuthorizationToken."""
    token = base64.b64encode(b"AWS:password").decode()
    proxy = f"https://{account.id}.dkr.ecr.us-east-1.amazonaws.com"
    expires_at = account.cloud.clock() + 12 * 3600
    return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires_at, "proxyEndpoint": proxy}]}


def repository_of(account: Account, ask: Ask) -> Repository:
    """The repository that a request names."""
    owner = account.cloud.account(ask.get("registryId", account.id))
    repository: Repository | None = owner.repositories.get(ask["repositoryName"])
    if repository is None:
        message = f"The repository with name '{ask['repositoryName']}' does not exist in the registry '{owner.id}'."
        raise AwsError("RepositoryNotFoundException", message)
    return repository


def _ids(ask: Ask) -> list[Mapping[str, str]]:
    ids: list[Mapping[str, str]] = ask["imageIds"]
    if not 1 <= len(ids) <= IMAGES_A_CALL:
        raise invalid(f"imageIds must have between 1 and {IMAGES_A_CALL} items.")
    return ids


OPERATIONS: Mapping[str, Operation] = {
    "DescribeImages": describe_images,
    "BatchGetImage": batch_get_image,
    "GetDownloadUrlForLayer": get_download_url_for_layer,
    "PutImage": put_image,
    "GetAuthorizationToken": get_authorization_token,
}
