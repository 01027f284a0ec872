"""Tags are put by ECR calls alone: exact bytes, media types, every exception that ECR answers with."""

import hashlib
import json
from collections.abc import Callable, Iterator
from threading import Barrier, Event
from typing import Any

import pytest
from moto import mock_aws

from deploytasks.aws import ecr, repositories
from deploytasks.errors import AwsError
from tests import clients
from tests.cloud.endpoint import Endpoint

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ACCOUNT = "123456789012"  # moto's
COMMIT = "a" * 40


def text(media_type: str | None = MANIFEST, **more: Any) -> str:
    """A manifest, spaced as no JSON library would space it, so that re-serialising it shows."""
    media = {"mediaType": media_type} if media_type else {}
    return json.dumps({"schemaVersion": 2, **media, "config": {"digest": "sha256:c"}, "layers": [], **more}, indent=7)


def digest_of(manifest: str) -> str:
    return "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = clients.client("ecr")
        client.create_repository(repositoryName="api")
        yield client


def put(client: Any, manifest: str, tag: str, media_type: str = MANIFEST) -> str:
    client.put_image(
        repositoryName="api",
        imageManifest=manifest,
        imageManifestMediaType=media_type,
        imageDigest=digest_of(manifest),
        imageTag=tag,
    )
    return digest_of(manifest)


@pytest.mark.parametrize(
    ("manifest", "media_type"),
    [(text(), MANIFEST), (text(OCI), OCI), (text(None), OCI)],
    ids=["docker", "oci", "oci without a mediaType of its own"],
)
def test_a_tag_is_put_with_the_exact_bytes_and_media_type(client: Any, manifest: str, media_type: str):
    digest = put(client, manifest, COMMIT, media_type)
    sent: list[Any] = []
    client.meta.events.register("provide-client-params.ecr.PutImage", lambda params, **_: sent.append(params))
    ecr.point(client, "api", digest, ["prod-20260101T000000Z", "prod"])
    assert [call["imageTag"] for call in sent] == ["prod-20260101T000000Z", "prod"]
    assert {(call["imageManifest"], call["imageDigest"]) for call in sent} == {(manifest, digest)}
    assert {call["imageManifestMediaType"] for call in sent} == {media_type}
    assert set(ecr.find(client, "api", [COMMIT])[COMMIT].tags) == {COMMIT, "prod", "prod-20260101T000000Z"}


def test_an_index_is_tagged_as_it_is_and_tells_its_children(client: Any):
    children = [put(client, text(number=number), f"{number:040x}") for number in (1, 2)]
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": each} for each in children]}, indent=5
    )
    digest = put(client, index, COMMIT, INDEX)
    ecr.point(client, "api", digest, ["dev"])
    found = ecr.find(client, "api", ["dev"])["dev"]
    assert found.digest == digest
    assert found.children == tuple(children)


def test_a_tag_that_is_there_already_is_success(client: Any):
    digest = put(client, text(), COMMIT)
    ecr.point(client, "api", digest, ["prod"])
    ecr.point(client, "api", digest, ["prod"])
    assert ecr.find(client, "api", ["prod"])["prod"].digest == digest


def test_what_is_not_there_is_left_out(client: Any):
    digest = put(client, text(), COMMIT)
    found = ecr.find(client, "api", [COMMIT, "b" * 40, digest])
    assert set(found) == {COMMIT, digest}


def asked(client: Any, before: Callable[[str], object] = lambda _: None) -> list[str]:
    """The operations that the client calls from now on; `before` runs before each is sent."""
    names: list[str] = []

    def note(event_name: str, **_: Any) -> None:
        names.append(event_name.rpartition(".")[2])
        before(names[-1])

    client.meta.events.register("before-send.ecr", note)
    return names


def test_what_a_tag_names_is_read_at_once_and_is_what_find_finds(client: Any):
    put(client, text(), COMMIT)
    put(client, text(), "prod")
    found, both = ecr.find(client, "api", ["prod"])["prod"], Barrier(2)
    names = asked(client, lambda _: both.wait(30))  # the barrier breaks where one is asked after the other
    assert ecr.image_of(client, "api", "prod") == found
    assert (sorted(names), set(found.tags)) == (["BatchGetImage", "DescribeImages"], {COMMIT, "prod"})


def test_a_tag_that_names_nothing_has_no_image(client: Any):
    names = asked(client)
    assert ecr.image_of(client, "api", "prod") is None
    assert sorted(names) == ["BatchGetImage", "DescribeImages"]


def test_a_tag_that_is_put_between_the_two_reads_has_its_image(client: Any):
    answered, digest = Event(), put(client, text(), COMMIT)
    client.meta.events.register("after-call.ecr.DescribeImages", lambda **_: answered.set())

    def put_then(operation: str) -> None:
        if operation == "BatchGetImage" and answered.wait(30):
            put(client, text(), "prod")

    names = asked(client, put_then)
    found = ecr.image_of(client, "api", "prod")
    assert found and (found.digest, set(found.tags)) == (digest, {COMMIT, "prod"})
    assert names.count("DescribeImages") == 2


def test_a_manifest_that_does_not_hash_to_its_digest_is_never_put(client: Any):
    wrong = "sha256:" + "0" * 64
    client.put_image(repositoryName="api", imageManifest=text(), imageDigest=wrong, imageTag=COMMIT)
    with pytest.raises(AwsError, match="hashes to sha256:"):
        ecr.point(client, "api", wrong, ["prod"])


def test_an_image_that_is_gone_is_said_and_not_a_key_error(client: Any):
    with pytest.raises(AwsError, match="there is no image sha256:"):
        ecr.point(client, "api", "sha256:" + "3" * 64, ["prod"])


def test_a_tag_that_reads_back_otherwise_is_a_failure(client: Any):
    digest = put(client, text(), COMMIT)
    client.meta.events.register("before-call.ecr.PutImage", lambda **_: (_answer(), {"image": {}}))
    with pytest.raises(AwsError, match=r"prod should name sha256:.* and does not"):
        ecr.point(client, "api", digest, ["prod"])


EXCEPTIONS = [
    "RepositoryNotFoundException",
    "ImageTagAlreadyExistsException",
    "ImageDigestDoesNotMatchException",
    "LayersNotFoundException",
    "ReferencedImagesNotFoundException",
    "LimitExceededException",
    "InvalidParameterException",
    "ServerException",
    "KmsException",
    "AccessDeniedException",
]


@pytest.mark.parametrize("code", EXCEPTIONS)
def test_every_exception_of_put_image_is_told_by_its_name(client: Any, code: str):
    digest = put(client, text(), COMMIT)
    refuse(client, "PutImage", code)
    with pytest.raises(AwsError) as caught:
        ecr.point(client, "api", digest, ["prod"])
    assert caught.value.error_code == code
    assert str(caught.value).startswith(f"ECR api: PutImage: {code}: said no")


def test_image_already_exists_is_what_we_wanted(client: Any):
    digest = put(client, text(), COMMIT)
    put(client, text(), "prod")
    refuse(client, "PutImage", "ImageAlreadyExistsException")
    ecr.point(client, "api", digest, ["prod"])


def test_all_pages_of_images_are_read_newest_first():
    with Endpoint(latency_s=0) as endpoint:
        repository = endpoint.cloud.account("012345678922").repositories["api"]
        for number in range(1203):
            repository.tags[f"{number:040x}"] = repository.store(text(number=number)).digest
        client = clients.client("ecr", endpoint.url)
        images = ecr.every(client, "api")
        assert endpoint.operations() == {"DescribeImages": 2}
    assert len(images) == 1205


def test_the_sweep_reads_the_children_of_tagged_indexes_a_hundred_a_call():
    with Endpoint(latency_s=0) as endpoint:
        repository = endpoint.cloud.account("012345678922").repositories["api"]
        for number in range(101):
            children = [{"digest": f"sha256:{number:064x}"}]
            index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
            repository.tags[f"{number:040x}"] = repository.store(index, INDEX).digest
        client = clients.client("ecr", endpoint.url)
        images = {tag: image for image in ecr.every(client, "api") for tag in image.tags}
        assert endpoint.operations() == {"DescribeImages": 1, "BatchGetImage": 2}
    assert images[f"{100:040x}"].children == (f"sha256:{100:064x}",)
    assert images["dev"].children == ()


def test_the_sweep_tells_of_images_without_a_tag_at_no_further_call():
    with Endpoint(latency_s=0) as endpoint:
        repository = endpoint.cloud.account("012345678922").repositories["api"]
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": "sha256:c"}]})
        untagged = {repository.store(text(number=7)).digest, repository.store(index, INDEX).digest}
        client = clients.client("ecr", endpoint.url)
        images = ecr.every(client, "api")
        assert endpoint.operations() == {"DescribeImages": 1}
    assert {image.digest for image in images if not image.tags} == untagged


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({"Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Action": "ecr:*"}, True),
        (
            {
                "Principal": {"AWS": ["222222222222"]},
                "Action": ["ecr:Batch*", "ecr:GetDownload*"],
            },
            True,
        ),
        ({"Principal": "*", "Action": list(repositories._PULL_ACTIONS)}, True),
        ({"Principal": "*", "Action": ["ecr:BatchGetImage"]}, False),
        ({"Principal": {"AWS": "arn:aws:iam::333333333333:root"}, "Action": "ecr:*"}, False),
        ({"Effect": "Deny", "Principal": "*", "Action": "ecr:*"}, False),
        ({"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "ecr:*"}, False),
    ],
)
def test_who_may_pull_is_read_off_the_policy(statement: dict[str, Any], allowed: bool):
    policy = {"Statement": {"Effect": "Allow", **statement}}
    assert repositories.allows_pull(policy, "222222222222") is allowed


def test_no_policy_lets_nobody_pull(client: Any):
    assert repositories.policy(client, "api") is None
    assert not repositories.allows_pull(None, "222222222222")


def test_a_repository_is_made_with_its_project_and_release_tags_that_do_not_move(client: Any):
    repositories.create(client, ACCOUNT, "shop/worker", ["dev", "prod"], "shop")
    (described,) = client.describe_repositories(repositoryNames=["shop/worker"])["repositories"]
    assert described["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert repositories.owner(client, ACCOUNT, "shop/worker") == "shop"


def test_the_policy_keeps_the_statements_that_are_not_ours(client: Any):
    theirs = {"Sid": "theirs", "Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}
    repositories.let_pull(client, "api", repositories.pull_policy({"222222222222"}, {"Statement": [theirs]}))
    policy = repositories.policy(client, "api")
    assert policy is not None and [each["Sid"] for each in policy["Statement"]] == ["theirs", "deploytasks"]


@pytest.mark.parametrize(
    "tags", [[], [{"Key": "project", "Value": "shop"}], [{"Key": "deploytasks:project", "Value": ""}]]
)
def test_a_repository_without_our_tag_has_no_project_until_it_is_marked(client: Any, tags: list[dict[str, str]]):
    if tags:
        client.tag_resource(resourceArn=repositories.arn(client, ACCOUNT, "api"), tags=tags)
    assert repositories.owner(client, ACCOUNT, "api") is None
    repositories.mark(client, ACCOUNT, "api", "shop")
    assert repositories.owner(client, ACCOUNT, "api") == "shop"


def refuse(client: Any, operation: str, code: str) -> None:
    """The operation answers with an error, through botocore's own parsing."""
    from botocore.awsrequest import AWSResponse

    body = json.dumps({"__type": code, "message": "said no"}).encode()

    def answer(request: Any, **_: Any) -> Any:
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.1"}, _Raw(body))

    client.meta.events.register_first(f"before-send.ecr.{operation}", answer)


class _Raw:
    """A response body as urllib3 hands it to botocore."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


def _answer() -> Any:
    from botocore.awsrequest import AWSResponse

    return AWSResponse("", 200, {}, _Raw(b"{}"))
