"""Turn envs/*.toml into a Project, or into every complaint at once.

`files` reads, `check` checks each file against `schema`, `policy` checks what project.toml says, `layers` merges the
settings, `targets` makes ECS services of them; `load` runs these steps in order. `select` then picks the targets of a
command. Nothing is imported here: `inv --list` needs only `names`.
"""
