"""The Invoke tasks, one file per namespace. Only these modules write to stdout.

Import nothing heavy at module level, so that `inv --list` stays fast: a task's body imports what it runs.
"""

from pathlib import Path

from invoke.collection import Collection

from deploytasks.tasks.early import answer_early, collect_seldom, keeping_bytecode


def namespace(root: Path) -> Collection:
    """Return all tasks of the project in `root`, with those of each tier and image that envs/project.toml names.

    If that file can't be read, the tasks of its tiers and images are missing; all others are there.
    """
    answer_early()
    collect_seldom()
    with keeping_bytecode():  # these imports take a while, and Ctrl-C is answered during it
        from deploytasks.config.names import project_names
        from deploytasks.tasks import build, deploy, envs, lock, release, status, tag
        from deploytasks.tasks.in_ci import reporting

    names = project_names(root)
    tasks = Collection()
    tasks.add_task(status.status(root))
    tasks.add_collection(build.collection(root, names["images"]))
    for room in (tag, deploy, release):
        tasks.add_collection(room.collection(root, names["tiers"]))
    tasks.add_collection(envs.collection(root))
    tasks.add_collection(lock.collection(root))
    return reporting(tasks, root)
