"""The jobs of a release's shards, in the words of the CI engine that is to run them. Pure.

Both are JSON: GitHub's `fromJSON` reads it, and to GitLab it is YAML, as every JSON document is.
Source: GitHub's "Running variations of jobs in a workflow" (`include`, 256 jobs), GitLab's "Dynamic child pipelines".
"""

import shlex
from typing import Any

from deploytasks.model import Matrix, Shard

MOST_JOBS = 256
"""What GitHub makes of one matrix; GitLab is no poorer."""


def github(matrix: Matrix) -> dict[str, Any]:
    """The matrix of a job: `strategy: {fail-fast: false, matrix: ${{ fromJSON(…) }}}`."""
    shards = matrix.shards.items()
    return {
        "include": [
            {
                "shard": str(shard),
                "tenants": ",".join(dict.fromkeys(target.environment.tenant for target in targets)),
                "targets": len(targets),
            }
            for shard, targets in shards
        ]
    }


def gitlab(matrix: Matrix, include: str | None = None) -> dict[str, Any]:
    """A child pipeline: a job a shard, all at once, and one that frees the tier whatever came of them.

    `include` is a file of the repository, whose `default:` says what every job runs in. A child pipeline has another
    number than its parent, so each job names the run that holds the lock.
    """
    tier = matrix.report.plan.tier.name
    head: dict[str, Any] = {"include": [{"local": include}]} if include else {}
    jobs = {f"{tier} {shard}": _job("shards", _command(tier, shard, matrix.run)) for shard in matrix.shards}
    freed = {**_job("unlock", matrix.unlock), "when": "always"}
    return {**head, "stages": ["shards", "unlock"], **jobs, f"{tier} unlock": freed}


def _job(stage: str, command: str) -> dict[str, Any]:
    return {"stage": stage, "script": [command]}


def _command(tier: str, shard: Shard, run: str) -> str:
    proof = f" --run {shlex.quote(run)}" if run else ""
    return f"inv deploy.{tier} --shard {shard}{proof}"
