"""The files of a build context as a commit names them, read from git's objects and never from the working tree.

stores      the repository's objects, and those of its submodules
listing     every file of a commit by path, submodules included; links followed inside it
contexts    a service's context and Dockerfile in it, less what `.dockerignore` names; or all that is missing
lfs         LFS pointers, and the content they stand for
writing     those files in a directory
"""

from deploytasks.source.contexts import BuildContext, Place, check, find, locate, write
from deploytasks.source.listing import Store, of_commit

__all__ = ["BuildContext", "Place", "Store", "check", "find", "locate", "of_commit", "write"]
