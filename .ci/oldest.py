"""Print the oldest release of each dependency that pyproject.toml allows, as constraints for pip."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]

for each in PROJECT["dependencies"]:
    print(re.sub(">=(.*),<.*", r"==\1", each))  # noqa: T201 - a script
