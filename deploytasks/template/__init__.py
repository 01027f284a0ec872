"""A template, a target and an image become the requests that ECS is sent, checked before anything is asked of AWS.

`render` writes them, `check` tries all of them offline, `canonical` tells whether two of them mean the same.
"""
