"""What a person types: one file a namespace, and the only place that writes to stdout.

Nothing heavy is imported here: `inv --list` costs what Invoke costs. The bodies import what they run.
"""

from pathlib import Path

from invoke.collection import Collection

from deploytasks.config.names import tier_names
from deploytasks.tasks import build, deploy, envs, lock, release, status, tag
from deploytasks.tasks.in_ci import reporting


def namespace(root: Path) -> Collection:
    """All tasks of the project in `root`, for whatever tiers its envs/project.toml names.

    A file that can't be read costs its tiers their tasks, never the others theirs.
    """
    tiers = tier_names(root)
    tasks = Collection()
    tasks.add_task(build.build(root))
    tasks.add_task(status.status(root))
    for room in (tag, deploy, release):
        tasks.add_collection(room.collection(root, tiers))
    tasks.add_collection(envs.collection(root))
    tasks.add_collection(lock.collection(root))
    return reporting(tasks, root)
