"""Render templates into the requests that ECS is sent, checked before anything is asked of AWS.

`render` writes them, `check` tries all of them offline, `canonical` decides whether two of them are equivalent.
"""
