"""Ratios that say whether releases stay fast, measured against the simulated AWS of `tests.cloud`.

`stage` serves one and writes the repositories that use it; `measure` runs whole commands in turn, and `bench` prints
what came of it beside the targets.
"""
