"""Compare the JSON Schemas that editors read in the repository with those of this version."""

from collections.abc import Iterator
from pathlib import Path

from deploytasks.config import json_schema
from deploytasks.config.json_schema import FILES, Kind


def outdated(root: Path) -> dict[str, str]:
    """Return the schema files that are missing or not this version's, below the root, each with what it should be."""
    wanted = {file: json_schema.text(kind) for kind, file in FILES.items()}
    return {file: text for file, text in wanted.items() if _read(root / file) != text}


def unreferred(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of envs/ by which editors find no schema, each with the first line that it lacks."""
    for path in sorted((root / "envs").glob("*.toml")):
        if not _refers(path):
            yield f"envs/{path.name}", json_schema.line(_kind(path))


def notes(root: Path) -> Iterator[str]:
    """Yield a note on each schema that a file of envs/ refers to, or that is there, and is not this version's."""
    referred = {FILES[_kind(path)] for path in (root / "envs").glob("*.toml") if _refers(path)}
    for file in outdated(root):
        wrong = "not this version's" if (root / file).exists() else "missing"
        if wrong != "missing" or file in referred:
            yield f"{file}: {wrong}; inv envs.schema writes it"


def first_line(root: Path) -> str:
    """Return the first line of a new tenant's file: its schema, if the repository has it; else ""."""
    return json_schema.line("tenant") if (root / FILES["tenant"]).exists() else ""


def _kind(path: Path) -> Kind:
    return "project" if path.name == "project.toml" else "tenant"


def _refers(path: Path) -> bool:
    """Return whether the file's first line names its schema."""
    first, _, _ = _read(path).removeprefix("\ufeff").partition("\n")
    return first.rstrip() == json_schema.line(_kind(path))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return ""
