"""Whole commands against ministack, with a Docker engine where one answers."""
