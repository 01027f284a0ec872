"""What a repository needs before it has tasks, and to keep its copy of this package up to date: one file a verb.

A verb's file has `arguments(parser)`, which adds its flags, and `run(given)`, which yields the lines to print, or a
document, which is printed as JSON.
"""
