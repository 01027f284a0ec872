"""The Python API: the tasks as functions, for use from a program.

    from deploytasks import commands
    from deploytasks.config.load import load
    from deploytasks.model import Options, Scope

    project = load(root)
    report = commands.release(project, Scope(tier="dev"), Options(), print)

A command takes the project, the targets to select (`Scope`), the flags (`Options`) and a callback that receives every
`model.Event`. It returns a `model.Report` and raises the exceptions of `deploytasks.errors`. `load(root, sessions=…)`
makes all commands sign in with the program's own `boto3.Session`s.
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
