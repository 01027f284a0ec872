"""The room that turns envs/*.toml into a Project, or into every complaint at once.

Data goes one way: `files` reads, `grammar` checks each file against `schema`, `policy` checks what project.toml
says, `layers` merges the settings, `targets` makes ECS services of them; `load` tells that story. `select` then picks
targets for a command and `show` says where each value came from. Nothing is imported here: `inv --list` needs
only `names`.
"""
