"""The Python API: what the tasks do, for a program that is not a shell.

    from deploytasks import journey
    from deploytasks.model import Options, Scope
    from deploytasks.project.load import load

    project = load(root)
    report = journey.release(project, Scope(tier="dev"), Options(), print)

A command takes the project, which of its targets (`Scope`), what a flag would say (`Options`), and a listener that is
told every `model.Event`; it returns a `model.Report`, and raises what `errors` draws.
"""

from deploytasks.commands.bootstrap import bootstrap
from deploytasks.commands.build import build
from deploytasks.commands.continue_stop import proceed, stop
from deploytasks.commands.deploy import deploy
from deploytasks.commands.diff import across, differences
from deploytasks.commands.history import history
from deploytasks.commands.images import list_images
from deploytasks.commands.lock import lock_acquire, lock_release, lock_release_of, lock_status
from deploytasks.commands.logs import logs, watch
from deploytasks.commands.matrix import deploy as deploy_shard
from deploytasks.commands.matrix import matrix
from deploytasks.commands.notification import address, heading
from deploytasks.commands.register import register
from deploytasks.commands.release import release
from deploytasks.commands.rollback import rollback
from deploytasks.commands.run import prepare, run
from deploytasks.commands.status import status
from deploytasks.commands.tag import tag
from deploytasks.commands.wait import wait

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
    "list_images",
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
    "status",
    "stop",
    "tag",
    "wait",
    "watch",
]
