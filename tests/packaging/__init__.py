"""The package as users get it: built, installed in an empty environment, and released with."""
