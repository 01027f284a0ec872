"""IAM's trust policies: who may assume a role. Pure."""

from collections.abc import Collection
from typing import Any, Literal

from msgspec import Struct

from deploytasks.aws.rights import document
from deploytasks.regions import partition_name, suffix

Platform = Literal["github", "gitlab"]
_GITHUB = "token.actions.githubusercontent.com"


class Repository(Struct, frozen=True):
    """The repository whose CI releases: `github.com`, `acme/shop`, and the branch that is released."""

    host: str
    path: str
    branch: str = "main"

    @property
    def platform(self) -> Platform:
        """Return whose tokens its jobs get: GitLab's, but on GitHub and its Enterprise Server's `github.…`."""
        return "github" if self.host.startswith("github.") else "gitlab"

    @property
    def issuer(self) -> str:
        """Return who issues its jobs' tokens: the identity provider in IAM is called so, too.

        Source: GitHub's and its Enterprise Server's "OpenID Connect reference", `iss`.
        """
        if self.platform == "gitlab":
            return self.host
        return _GITHUB if self.host == "github.com" else f"{self.host}/_services/token"

    def audience(self, region: str) -> str:
        """Return whom the tokens are for.

        Source: aws-actions/configure-aws-credentials, `audience`; GitLab's documentation of OpenID Connect with AWS.
        """
        return f"sts.{suffix(region)}" if self.platform == "github" else f"https://{self.host}"

    def subjects(self, tiers: Collection[str]) -> list[str]:
        """Return the subjects of the tokens of jobs that release: of the branch, and on GitHub of tiers' environments.

        Source: GitHub's "OpenID Connect reference" (a job that names an environment has no other subject); GitLab's "ID
        token", `sub`.
        """
        if self.platform == "gitlab":
            return [f"project_path:{self.path}:ref_type:branch:ref:{self.branch}"]
        of_tiers = [f"repo:{self.path}:environment:{tier}" for tier in tiers]
        return [f"repo:{self.path}:ref:refs/heads/{self.branch}", *of_tiers]


def by_ci(repository: Repository, account: str, region: str, tiers: Collection[str]) -> dict[str, Any]:
    """Return the trust in the CI jobs of a repository, whose tokens the account's identity provider vouches for."""
    provider = f"arn:{partition_name(region)}:iam::{account}:oidc-provider/{repository.issuer}"
    token = {"aud": repository.audience(region), "sub": repository.subjects(tiers)}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{repository.issuer}:{key}": value for key, value in token.items()}},
    }
    return document([statement])


def by_roles(trusted: Collection[str], external_ids: Collection[str | None], partition: str) -> dict[str, Any]:
    """Return the trust in roles and users by their ARNs, which may have wildcards and need not exist yet.

    `external_ids` are those that must be sent: one statement each, None for a caller that sends none.
    """
    accounts = sorted({arn.split(":")[4] for arn in trusted})
    roots = [f"arn:{partition}:iam::{account}:root" for account in accounts]
    return document([_by_roles(roots, trusted, each) for each in sorted(external_ids, key=str)])


def _by_roles(roots: list[str], trusted: Collection[str], external_id: str | None) -> dict[str, Any]:
    sent = {"StringEquals": {"sts:ExternalId": external_id}} if external_id else {}
    return {
        "Effect": "Allow",
        "Principal": {"AWS": roots},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnLike": {"aws:PrincipalArn": sorted(trusted)}, **sent},
    }
