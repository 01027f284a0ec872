"""What every command of a process would make anew, made once: the same for all of them, and costly."""

import copy
from typing import Any

from botocore import session
from botocore.errorfactory import ClientExceptionsFactory
from invoke.parser import Argument

EXCEPTIONS = ClientExceptionsFactory()
"""The exception classes of each AWS service; a botocore session has a factory of its own, and makes sixty a service."""


def share() -> None:
    """Let all commands of this process share them."""
    session.ClientExceptionsFactory = lambda: EXCEPTIONS
    Argument.__deepcopy__ = _copied


def _copied(argument: Argument, memo: dict[int, Any]) -> Argument:
    """Return what `copy.deepcopy` would: only an argument's value can be changed, and a value is text or a list of it.

    Invoke copies the arguments of all tasks twice a command.
    """
    copied = copy.copy(argument)
    copied.raw_value, copied._value = copy.copy(argument.raw_value), copy.copy(argument._value)
    return copied
