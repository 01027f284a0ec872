"""Write the jobs of a release's shards for GitHub or GitLab. Pure.

Both are JSON: GitHub's `fromJSON` reads it, and GitLab takes it as YAML.
Source: GitHub's "Running variations of jobs in a workflow" (`include`, 256 jobs), GitLab's "Dynamic child pipelines".
"""

import shlex
from typing import Any

from deploytasks.model import Matrix, Shard, tenants_of

MOST_JOBS = 256
"""GitHub's limit of jobs per matrix; GitLab's is not lower."""


def github(matrix: Matrix) -> dict[str, Any]:
    """Return the matrix of a job, for `strategy: {fail-fast: false, matrix: ${{ fromJSON(…) }}}`."""
    shards = matrix.shards.items()
    return {
        "include": [
            {
                "shard": str(shard),
                "tenants": ",".join(tenants_of(targets)),
                "targets": len(targets),
            }
            for shard, targets in shards
        ]
    }


def gitlab(matrix: Matrix, include: str | None = None) -> dict[str, Any]:
    """Return a child pipeline: one job per shard, all in parallel, and one that always frees the lock at the end.

    `include` is a file of the repository whose `default:` configures every job. A child pipeline has another number
    than its parent, so each job names the run that holds the lock.
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
