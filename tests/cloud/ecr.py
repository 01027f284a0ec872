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
    repository = _repository(account, ask)
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
    repository = _repository(account, ask)
    images, failures = [], []
    for image_id in _ids(ask):
        image = repository.find(image_id)
        if image is None:
            reason = "Requested image not found"
            failures.append({"imageId": image_id, "failureCode": "ImageNotFound", "failureReason": reason})
        else:
            images.append(_with_manifest(repository, image, image_id.get("imageTag")))
    return {"images": images, "failures": failures}


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
    repository, manifest = _repository(account, ask), ask["imageManifest"]
    media_type = ask.get("imageManifestMediaType") or json.loads(manifest).get("mediaType")
    if media_type is None:
        raise invalid("imageManifestMediaType is required for this manifest.")
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    if ask.get("imageDigest", digest) != digest:
        raise AwsError("ImageDigestDoesNotMatchException", f"The manifest's digest is {digest}.")
    tag = ask.get("imageTag")
    _check_tag(repository, digest, tag)
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


def get_download_url_for_layer(account: Account, ask: Ask) -> Answer:
    """Source: GetDownloadUrlForLayer, whose address is S3's and signed; a config blob is a layer to it."""
    repository, digest = _repository(account, ask), ask["layerDigest"]
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


def describe_repositories(account: Account, ask: Ask) -> Answer:
    """Source: DescribeRepositories."""
    owner = account.cloud.account(ask.get("registryId", account.id))
    names = ask.get("repositoryNames", list(owner.repositories))
    found = [_repository(account, {**ask, "repositoryName": name}) for name in names]
    return {"repositories": [_described(repository) for repository in found]}


def _described(repository: Repository) -> dict[str, Any]:
    host = f"{repository.account.id}.dkr.ecr.us-east-1.amazonaws.com"
    filters = [{"filterType": "WILDCARD", "filter": pattern} for pattern in repository.excluded]
    return {
        "repositoryArn": repository.account.arn("ecr", f"repository/{repository.name}"),
        "registryId": repository.account.id,
        "repositoryName": repository.name,
        "repositoryUri": f"{host}/{repository.name}",
        "imageTagMutability": repository.mutability,
        **({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
    }


def create_repository(account: Account, ask: Ask) -> Answer:
    """Source: CreateRepository."""
    name = ask["repositoryName"]
    if name in account.repositories:
        message = f"The repository with name '{name}' already exists in the registry with id '{account.id}'"
        raise AwsError("RepositoryAlreadyExistsException", message)
    excluded = tuple(each["filter"] for each in ask.get("imageTagMutabilityExclusionFilters", []))
    made = Repository(name, account, ask.get("imageTagMutability", "MUTABLE"), excluded, marks=_marks(ask))
    account.repositories[name] = made
    return {"repository": _described(made)}


def set_repository_policy(account: Account, ask: Ask) -> Answer:
    """Source: SetRepositoryPolicy."""
    repository = _repository(account, ask)
    repository.policy = ask["policyText"]
    return get_repository_policy(account, ask)


def list_tags_for_resource(account: Account, ask: Ask) -> Answer:
    """Source: ListTagsForResource, whose tags have members in capitals, unlike those of ECS."""
    marks = _named_by_arn(account, ask).marks
    return {"tags": [{"Key": key, "Value": value} for key, value in marks.items()]}


def tag_resource(account: Account, ask: Ask) -> Answer:
    """Source: TagResource."""
    _named_by_arn(account, ask).marks.update(_marks(ask))
    return {}


def _marks(ask: Ask) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in ask.get("tags", [])}


def _named_by_arn(account: Account, ask: Ask) -> Repository:
    name = ask["resourceArn"].partition(":repository/")[2]
    if ask["resourceArn"] != account.arn("ecr", f"repository/{name}"):
        raise AwsError("InvalidParameterException", f"Invalid ARN: {ask['resourceArn']}")
    return _repository(account, {"repositoryName": name})


def get_repository_policy(account: Account, ask: Ask) -> Answer:
    """Source: GetRepositoryPolicy."""
    repository = _repository(account, ask)
    if repository.policy is None:
        raise AwsError("RepositoryPolicyNotFoundException", f"'{repository.name}' has no policy.")
    return {
        "registryId": repository.account.id,
        "repositoryName": repository.name,
        "policyText": repository.policy,
    }


def get_authorization_token(account: Account, ask: Ask) -> Answer:
    """Source: GetAuthorizationToken."""
    token = base64.b64encode(b"AWS:password").decode()
    proxy = f"https://{account.id}.dkr.ecr.us-east-1.amazonaws.com"
    expires_at = account.cloud.clock() + 12 * 3600
    return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires_at, "proxyEndpoint": proxy}]}


def _repository(account: Account, ask: Ask) -> Repository:
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
    "CreateRepository": create_repository,
    "DescribeRepositories": describe_repositories,
    "ListTagsForResource": list_tags_for_resource,
    "SetRepositoryPolicy": set_repository_policy,
    "TagResource": tag_resource,
    "GetRepositoryPolicy": get_repository_policy,
    "GetAuthorizationToken": get_authorization_token,
}
