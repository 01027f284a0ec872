"""The tasks of this repository: all of them are deploytasks' own."""

from pathlib import Path

from deploytasks import namespace

ns = namespace(Path(__file__).parent)
