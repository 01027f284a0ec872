"""Whole expected reports, a file a situation, and the situations themselves."""
