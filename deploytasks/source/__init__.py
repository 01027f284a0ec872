"""Read the files of a build context from a commit's git objects, never from the working tree.

listing     the repository's objects and those of its submodules; every file of a commit by path
contexts    an image's context and Dockerfile, less what `.dockerignore` names, written to a directory; or all
            that is missing
lfs         LFS pointers, and the content they stand for
"""

from deploytasks.source.contexts import BuildContext, Place, check, find, locate, write
from deploytasks.source.listing import Store, of_commit

__all__ = ["BuildContext", "Place", "Store", "check", "find", "locate", "of_commit", "write"]
