"""The calls that tests/test_second_opinion.py makes to the simulated AWS and to moto, and where the answers differ."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ACCOUNT = "123456789012"  # moto's
ROLE = "arn:aws:iam::111111111111:role/p/deploy"
REPOSITORY = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository"
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret"
SERVICE = f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/c"
DEFINITION = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition"


@dataclass(frozen=True, slots=True)
class Row:
    """One call, and what of its answer is read (JMESPath); where the answers differ, both, and who is right."""

    operation: str
    reads: str
    ask: Mapping[str, Any]
    ours: Any = None
    moto: Any = None
    why: str = ""


def same(operation: str, reads: str = "", **ask: Any) -> Row:
    return Row(operation, reads, ask)


@dataclass(frozen=True, slots=True)
class Differs:
    """Where both answer otherwise; moto's own exceptions are told by their class."""

    ours: Any
    moto: Any
    why: str

    def __call__(self, operation: str, reads: str = "", **ask: Any) -> Row:
        return Row(operation, reads, ask, self.ours, self.moto, self.why)


def lenient(ours: str, why: str, moto: Any = "200") -> Differs:
    """AWS refuses what moto does not check."""
    return Differs(ours, moto, f"AWS refuses it: {why}")


def manifest(config: str, **more: Any) -> str:
    media = "application/vnd.docker.distribution.manifest.v2+json"
    named = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 7,
        "digest": f"sha256:{config * 64}",
    }
    return json.dumps({"schemaVersion": 2, "mediaType": media, "config": named, "layers": [], **more})


def digest_of(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def put(tag: str | None, text: str, **more: Any) -> dict[str, Any]:
    tagged = {"imageTag": tag} if tag else {}
    return {"repositoryName": "api", "imageManifest": text, "imageDigest": digest_of(text), **tagged, **more}


ONE, TWO, NOWHERE = manifest("a"), manifest("b"), "sha256:" + "1" * 64
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
INDEX = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"size": 3, "digest": NOWHERE}]})
OF_INDEX = json.dumps(
    {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{"size": 3, "digest": digest_of(ONE)}]}
)
POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}]}'
DETAIL = "sort_by(imageDetails, &imageDigest)[].[imageDigest, sort(imageTags || `[]`), imageManifestMediaType]"
FOUND = "[images[].[imageId.imageDigest, imageManifest, imageManifestMediaType], failures[].[imageId, failureCode]]"
DEV = [{"filterType": "WILDCARD", "filter": "dev"}]


def ecr_repositories() -> Iterator[Row]:
    created = "repository.[repositoryArn, registryId, repositoryUri, imageTagMutability]"
    yield same("CreateRepository", created, repositoryName="api", tags=[{"Key": "k", "Value": "v"}])
    yield same("CreateRepository", repositoryName="api")
    yield same(
        "CreateRepository",
        "repository.[imageTagMutability, imageTagMutabilityExclusionFilters]",
        repositoryName="kept",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=DEV,
    )
    listed = "repositories[].[repositoryName, imageTagMutability, imageTagMutabilityExclusionFilters]"
    yield same("DescribeRepositories", listed)
    yield same("DescribeRepositories", repositoryNames=["no"])
    yield same("TagResource", "@", resourceArn=f"{REPOSITORY}/api", tags=[{"Key": "a", "Value": "b"}])
    yield same("ListTagsForResource", "tags", resourceArn=f"{REPOSITORY}/api")
    yield same("TagResource", resourceArn=f"{REPOSITORY}/no", tags=[])
    yield same("ListTagsForResource", resourceArn=f"{REPOSITORY}/no")
    yield same("GetRepositoryPolicy", repositoryName="api")
    yield same("SetRepositoryPolicy", "[repositoryName, policyText]", repositoryName="api", policyText=POLICY)
    yield same("GetRepositoryPolicy", "[registryId, repositoryName, policyText]", repositoryName="api")
    yield same("SetRepositoryPolicy", repositoryName="api", policyText="nonsense")
    yield same("SetRepositoryPolicy", repositoryName="no", policyText=POLICY)
    yield same("GetRepositoryPolicy", repositoryName="no")
    yield same("GetAuthorizationToken", "authorizationData[].proxyEndpoint")


def ecr_images() -> Iterator[Row]:
    yield same("CreateRepository", "repository.imageTagMutability", repositoryName="api")
    image = "image.[registryId, repositoryName, imageId, imageManifest, imageManifestMediaType]"
    yield same("PutImage", image, **put("c1", ONE))
    yield same("PutImage", **put("c1", ONE))
    yield same("PutImage", "image.imageId", **put("dev", ONE))
    yield same("PutImage", "image.imageId", **put("dev", TWO))
    yield same("PutImage", "image.imageId", **put("index", OF_INDEX))
    yield same("DescribeImages", DETAIL, repositoryName="api")
    yield same("DescribeImages", DETAIL, repositoryName="api", imageIds=[{"imageTag": "dev"}])
    yield same("DescribeImages", DETAIL, repositoryName="api", imageIds=[{"imageDigest": digest_of(ONE)}])
    yield same("DescribeImages", repositoryName="api", imageIds=[{"imageTag": "no"}])
    yield same("DescribeImages", repositoryName="no")
    by_one = [{"imageTag": "c1"}, {"imageTag": "no"}]
    yield same("BatchGetImage", FOUND, repositoryName="api", imageIds=by_one)
    yield same("BatchGetImage", FOUND, repositoryName="api", imageIds=[{"imageDigest": digest_of(TWO)}])
    yield same("BatchGetImage", repositoryName="no", imageIds=by_one)
    without = json.dumps({"schemaVersion": 2, "config": {}, "layers": []})
    yield same("PutImage", repositoryName="api", imageManifest=without, imageTag="untyped")
    pushed = Differs("400 ImageAlreadyExistsException", "200", "ECR: no change since the last push (botocore)")
    yield pushed("PutImage", **put(None, ONE))
    raises = "ECR answers with an error of its own, where moto raises a bare Exception (botocore's errors of PutImage)"
    yield Differs("400 RepositoryNotFoundException", "Exception", raises)(
        "PutImage", **put("c1", ONE, repositoryName="no")
    )
    yield Differs("400 InvalidParameterException", "Exception", raises)(
        "PutImage", repositoryName="api", imageManifest="nonsense", imageTag="nonsense"
    )
    other = lenient("400 ImageDigestDoesNotMatchException", "botocore's documentation of that error of PutImage")
    yield other("PutImage", **put("c3", manifest("c"), imageDigest=NOWHERE))
    lost = lenient("400 ReferencedImagesNotFoundException", "botocore's documentation of that error of PutImage")
    yield lost("PutImage", **put("lost", INDEX))
    many = [{"imageTag": f"t{n}"} for n in range(101)]
    limit = lenient("400 InvalidParameterException", "botocore's ImageIdentifierList has at most 100 members")
    yield limit("BatchGetImage", repositoryName="api", imageIds=many)
    yield Differs(
        ["ImageTagDoesNotMatchDigest"], None, "ECR: ImageFailureCode of botocore; moto takes the digest alone"
    )(
        "BatchGetImage",
        "failures && failures[].failureCode || `null`",
        repositoryName="api",
        imageIds=[{"imageTag": "c1", "imageDigest": digest_of(TWO)}],
    )
    yield Differs("InvalidImageDigest", "ImageNotFound", "ECR: ImageFailureCode of botocore")(
        "BatchGetImage", "failures[0].failureCode", repositoryName="api", imageIds=[{"imageDigest": "junk"}]
    )
    absent = {"imageDigest": NOWHERE}
    yield Differs(absent, None, "ECR: a failure names the imageId that was asked for (botocore); moto names none")(
        "BatchGetImage", "failures[0].imageId", repositoryName="api", imageIds=[absent]
    )
    yield Differs("c1", None, "ECR: an image that was asked for by its tag names it")(
        "BatchGetImage", "images[0].imageId.imageTag", repositoryName="api", imageIds=[{"imageTag": "c1"}]
    )
    yield Differs(True, False, "ECR pages by maxResults (botocore's documentation); moto answers with all")(
        "DescribeImages", "length(imageDetails) == `2`", repositoryName="api", maxResults=2
    )


def ecr_immutable_tags() -> Iterator[Row]:
    yield same(
        "CreateRepository",
        "repository.imageTagMutability",
        repositoryName="api",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=DEV,
    )
    yield same("PutImage", "image.imageId", **put("dev", ONE))
    yield same("PutImage", "image.imageId", **put("dev", TWO))
    yield same("PutImage", "image.imageId", **put("c1", ONE))
    yield same("PutImage", **put("c1", ONE))
    immutable = "ECR: botocore's documentation of ImageTagAlreadyExistsException"
    yield Differs("400 ImageTagAlreadyExistsException", "400 ImageAlreadyExistsException", immutable)(
        "PutImage", **put("c1", TWO)
    )


def ssm_parameters() -> Iterator[Row]:
    yield same("PutParameter", "[Version, Tier]", Name="/a/b", Value="v", Type="String")
    yield same("PutParameter", Name="/a/b", Value="w", Type="String", Overwrite=False)
    yield same("PutParameter", "Version", Name="/a/b", Value="w", Overwrite=True)
    yield same("GetParameter", "Parameter.[Name, Type, Value, Version, ARN, DataType]", Name="/a/b")
    yield same("GetParameter", Name="/no")
    yield same("PutParameter", "Version", Name="/a/s", Value="v", Type="SecureString")
    yield same("GetParameter", "Parameter.[Type, Value]", Name="/a/s", WithDecryption=True)
    yield same("GetParameter", "Parameter.Value != 'v'", Name="/a/s")
    yield same("PutParameter", "Version", Name="bare", Value="x", Type="String")
    yield same("GetParameter", "Parameter.ARN", Name="bare")
    yield same("PutParameter", "Version", Name="/a/c/d", Value="v", Type="String")
    yield same("PutParameter", "Version", Name="/ab", Value="v", Type="String")
    yield same("PutParameter", Name="/a/untyped", Value="w")
    yield same("PutParameter", Name="/a/b", Value="v", Overwrite=True, Tags=[{"Key": "k", "Value": "v"}])
    yield same("PutParameter", Name="/aws/x", Value="x", Type="String")
    yield same("PutParameter", Name="/ssm/x", Value="x", Type="String")
    yield same("PutParameter", Name="/a/empty", Value="", Type="String")
    names = "[sort(Parameters[].Name), NextToken]"
    for path in ("/a", "/a/", "/", "/nothing"):
        yield same("GetParametersByPath", names, Path=path)
        yield same("GetParametersByPath", names, Path=path, Recursive=True)
    yield same("GetParametersByPath", "Parameters[?Name == '/a/s'].Value != ['v']", Path="/a")
    yield same("GetParametersByPath", "[length(Parameters), NextToken]", Path="/a", Recursive=True, MaxResults=1)
    yield same("GetParametersByPath", Path="/a", MaxResults=11)
    yield same("GetParameters", "[Parameters[].[Name, Value], InvalidParameters]", Names=["/a/b", "/no"])
    yield same("GetParameters", Names=[f"/n{n}" for n in range(11)])
    arn = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/a/b"
    yield same("GetParameters", "Parameters[].Name", Names=[arn])
    yield same("DeleteParameter", "@", Name="/a/b")
    yield same("DeleteParameter", Name="/a/b")
    documented = "botocore's documentation of PutParameter's "
    refused = lenient("400 ValidationException", f"{documented}Name and aws/aws-sdk-php#1952")
    yield refused("PutParameter", Name="/a/bad name", Value="x", Type="String")
    yield refused("PutParameter", Name="a/relative", Value="x", Type="String")
    yield refused("GetParameters", Names=["a/relative"])
    value = lenient("400 ValidationException", f"{documented}Value")
    yield value("PutParameter", Name="/a/long", Value="v" * 4097, Type="String")
    yield value("PutParameter", Name="/a/reference", Value="{{ssm:x}}", Type="String")
    slash = lenient("400 ValidationException", "botocore's documentation of GetParametersByPath's Path")
    yield slash("GetParametersByPath", Path="a")


def secrets() -> Iterator[Row]:
    """`db` holds `x`, `gone` is scheduled for deletion, and there is no other."""
    for name in ("db", f"{SECRET}:db"):
        yield same("DescribeSecret", "[Name, DeletedDate, values(VersionIdsToStages)]", SecretId=name)
        yield same("GetSecretValue", "[Name, SecretString, VersionStages]", SecretId=name)
    yield same("DescribeSecret", "[Name, DeletedDate != null]", SecretId="gone")
    yield same("GetSecretValue", SecretId="gone")
    missing = Differs(
        "400 ResourceNotFoundException", "404 ResourceNotFoundException", "AWS: 400, API reference of Secrets Manager"
    )
    for name in ("no", f"{SECRET}:no-AbCdEf"):
        yield missing("DescribeSecret", SecretId=name)
        yield missing("GetSecretValue", SecretId=name)
    keyed = "AWS: SecretId has no JSON key behind the ARN (botocore); that it is a ValidationException is a guess"
    yield Differs("400 ValidationException", "404 ResourceNotFoundException", keyed)(
        "DescribeSecret", SecretId=f"{SECRET}:db:key::"
    )


def iam_roles() -> Iterator[Row]:
    """`task` trusts ECS's tasks, and there is no other."""
    yield same("GetRole", "Role.[Path, RoleName, Arn, AssumeRolePolicyDocument]", RoleName="task")
    yield same("GetRole", RoleName="no")


def sts_sessions() -> Iterator[Row]:
    said = "[AssumedRoleUser.Arn, type(Credentials.SessionToken), starts_with(Credentials.AccessKeyId, 'ASIA')]"
    bounds = lenient("400 ValidationError", "botocore's bounds of DurationSeconds")
    asked = {"RoleArn": ROLE, "RoleSessionName": "me"}
    for operation, ask in (("AssumeRole", asked), ("AssumeRoleWithWebIdentity", {**asked, "WebIdentityToken": "who"})):
        yield same(operation, said, **ask)
        for seconds in (899, 43_201):
            yield bounds(operation, **ask, DurationSeconds=seconds)
    yield same("GetCallerIdentity", "Account")


def log_lines() -> Iterator[Row]:
    """Two lines in the stream `s` of the group `g`; the simulated AWS's first page is empty, as one of AWS's may be."""
    lines, stream = "events[].message", {"logGroupName": "g", "logStreamName": "s"}
    yield same("GetLogEvents", lines, **stream)
    yield same("GetLogEvents", lines, **stream, limit=1)
    yield same("GetLogEvents", **stream, limit=10_001)
    yield same("GetLogEvents", logGroupName="g", logStreamName="no")
    yield same("GetLogEvents", logGroupName="no", logStreamName="s")
    yield same("FilterLogEvents", logGroupName="no")
    yield same("FilterLogEvents", logGroupName="g", limit=10_001)
    empty = "AWS: a page may hold fewer events than there are, none even, and a nextToken (botocore)"
    yield Differs([], ["one", "two"], empty)("FilterLogEvents", lines, logGroupName="g")
    both = lenient("400 InvalidParameterException", "botocore's documentation of logStreamNamePrefix")
    yield both("FilterLogEvents", logGroupName="g", logStreamNamePrefix="s", logStreamNames=["s"])
