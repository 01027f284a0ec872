"""What a shell offers at TAB for `inv`: `tab` is run by the scripts `inv.bash`, `inv.zsh` and `inv.fish`.

Each TAB starts Python anew, so that only the standard library and the tables of flags and names are imported. No code
of the repository runs, nothing is asked of AWS, and only harmless words are printed. `seen` is the cache of what other
commands saw: releases, and tasks that tasks.py adds.
"""
