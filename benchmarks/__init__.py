"""Ratios that say whether releases stay fast, and the AWS-shaped endpoint they are measured against.

`endpoint` serves what `cloud*` keep in memory and `world` prepared; `project` writes a repository that uses it;
`measure` runs whole commands in turn, and `bench` prints what came of it beside the targets.
"""
