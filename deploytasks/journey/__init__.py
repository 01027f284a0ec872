"""The Python API: what the tasks do, for a program that is not a shell.

    from deploytasks import journey
    from deploytasks.model import Options, Scope
    from deploytasks.project.load import load

    project = load(root)
    report = journey.release(project, Scope(tier="dev"), Options(), print)

A command takes the project, which of its targets (`Scope`), what a flag would say (`Options`), and a listener that is
told every `model.Event`; it returns a `model.Report`, and raises what `errors` draws.
"""

from deploytasks.journey.bootstrap import bootstrap
from deploytasks.journey.channel import address, heading
from deploytasks.journey.commands import build, deploy, register, release, tag
from deploytasks.journey.differences import across, differences
from deploytasks.journey.history import history
from deploytasks.journey.logs import logs, watch
from deploytasks.journey.looking import status
from deploytasks.journey.oneoff import prepare, run
from deploytasks.journey.rollback import rollback
from deploytasks.journey.shards import deploy as deploy_shard
from deploytasks.journey.shards import matrix
from deploytasks.journey.shelves import shelves
from deploytasks.journey.steering import proceed, stop
from deploytasks.journey.upkeep import lock_acquire, lock_release, lock_release_of, lock_status
from deploytasks.journey.waiting import wait

__all__ = [
    "across",
    "address",
    "bootstrap",
    "build",
    "deploy",
    "deploy_shard",
    "differences",
    "heading",
    "history",
    "lock_acquire",
    "lock_release",
    "lock_release_of",
    "lock_status",
    "logs",
    "matrix",
    "prepare",
    "proceed",
    "register",
    "release",
    "rollback",
    "run",
    "shelves",
    "status",
    "stop",
    "tag",
    "wait",
    "watch",
]
