"""Git in tests: a command, and in a shop a file and a commit of everything."""

import subprocess
from pathlib import Path

from tests.commands import Shop


def run(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write(shop: Shop, name: str, text: str) -> None:
    (shop.root / name).parent.mkdir(parents=True, exist_ok=True)
    (shop.root / name).write_text(text)


def commit(shop: Shop) -> str:
    run(shop.root, "add", "-A")
    run(shop.root, "commit", "-qm", "Change")
    return run(shop.root, "rev-parse", "HEAD")
