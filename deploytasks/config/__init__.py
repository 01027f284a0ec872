"""Turn envs/*.toml into a Project, or into every complaint at once.

`files` reads, `check` checks each file against `schema`, `policy` checks what project.toml says, `agreement` what the
files say together, `layers` merges the settings; `load` runs these steps in order and makes targets. `select` then
picks the targets of a command. Nothing is imported here: `inv --list` needs only `names`.
"""
