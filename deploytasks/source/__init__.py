"""Read the files of a build context from a commit's git objects, never from the working tree.

listing     the repository's objects and those of its submodules; every file of a commit by path
contexts    an image's context and Dockerfile, less what `.dockerignore` names, written to a directory; or all
            that is missing
paths       what an image's `paths` match, and since which commit nothing of it changed
lfs         LFS pointers, and the content they stand for
"""

from deploytasks.source.contexts import BuildContext, Place, check, find, locate, write
from deploytasks.source.listing import Store, of_commit
from deploytasks.source.paths import earlier, matches_nothing, parts, pathspec, unmatched

__all__ = [
    "BuildContext",
    "Place",
    "Store",
    "check",
    "earlier",
    "find",
    "locate",
    "matches_nothing",
    "of_commit",
    "parts",
    "pathspec",
    "unmatched",
    "write",
]
