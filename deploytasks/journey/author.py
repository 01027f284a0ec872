"""Who acts: a person at this machine, or a CI run and whoever started it."""

import getpass
import os
import platform
from collections.abc import Mapping

from deploytasks.model import Author


def whoami_here() -> Author:
    """Who acts in this process."""
    return whoami(os.environ)


def whoami(environ: Mapping[str, str]) -> Author:
    """Who acts: CI's actor and run where CI says so, else the person at this machine.

    Source: the variables that GitHub Actions, GitLab CI, CircleCI and Buildkite document.

    """
    if "GITHUB_RUN_ID" in environ:
        run = f"{environ.get('GITHUB_SERVER_URL', '')}/{environ.get('GITHUB_REPOSITORY', '')}/actions/runs/"
        run += environ["GITHUB_RUN_ID"]
        return Author(environ.get("GITHUB_ACTOR", "github"), run, f"github {environ['GITHUB_RUN_ID']}")
    if "GITLAB_CI" in environ:
        by = environ.get("GITLAB_USER_LOGIN", "gitlab")
        return Author(by, environ.get("CI_PIPELINE_URL", ""), _run("gitlab", environ.get("CI_PIPELINE_ID", "")))
    if "CIRCLECI" in environ:
        by, run = environ.get("CIRCLE_USERNAME", "circleci"), environ.get("CIRCLE_WORKFLOW_ID", "")
        return Author(by, environ.get("CIRCLE_BUILD_URL", ""), _run("circleci", run))
    if "BUILDKITE" in environ:
        by, run = environ.get("BUILDKITE_BUILD_CREATOR", "buildkite"), environ.get("BUILDKITE_BUILD_ID", "")
        return Author(by, environ.get("BUILDKITE_BUILD_URL", ""), _run("buildkite", run))
    return Author(f"{_user()}@{platform.node()}")


def _run(engine: str, number: str) -> str:
    """What all jobs of one CI run share; empty where the engine does not tell, since that may share nothing."""
    return f"{engine} {number}" if number else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
