"""Build a container image once, release it to every tenant's own AWS ECS environment.

`namespace(root)` is what a `tasks.py` needs; `deploytasks.commands` is the same for a Python program.

Data goes one way. `tasks` is what a person types, `commands` is one file a verb. They use `config`, `template`,
`rollout`, `builders`, `source` and `git`, which use `aws` and the pure `rules`; all of them use the values of `model`.
`report` turns values into text, JSON and HTML; `errors` holds everything that may go wrong.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploytasks.tasks import namespace

__all__ = ["__version__", "namespace"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `namespace`, and Invoke with it, when it is asked for: completion in a shell has no time for that."""
    if name != "namespace":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from deploytasks.tasks import namespace

    return namespace
