"""Build a container image once, release it to every tenant's own ECS environment.

The door: `namespace(root)` is what a `tasks.py` needs; `deploytasks.journey` is the same for a Python program.
The way through the house: `tasks` is what a person types, `journey` the story of each command, and under it the rooms
`project`, `template`, `plan`, `git`, `builders`, `aws` and `fleet`, which speak in the words of `model` and `tags`;
`report` shows what came of it, `errors` is all that may go wrong.
"""

from deploytasks.tasks import namespace

__all__ = ["__version__", "namespace"]
__version__ = "0.1.0"
