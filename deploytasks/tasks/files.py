"""Write files so that a reader sees the old text or the new one, whenever it is ended."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path


def write(file: Path, text: str, to_do: str = "name another file") -> None:
    """Write the text to the file atomically: a reader sees either the old text or the new one. Make its folder.

    A link stays a link, and its target is written. A pipe or a device is written to directly. `to_do` is the advice if
    the file can't be written.

    Raises:
        Failure: the file could not be written.

    """
    from deploytasks.errors import Failure, is_full

    file = Path(os.path.realpath(file))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and not file.is_file():
            file.write_text(text, "utf-8")
        else:
            _replace(file, text)
    except OSError as error:
        to_do = f"make room, or {to_do}" if is_full(error) else to_do
        raise Failure.of(str(file), f"it could not be written: {error.strerror}", to_do) from error


def create(file: Path, text: str) -> None:
    """Write a new file atomically.

    Raises:
        Invalid: there is such a file already.
        Failure: the file could not be written; none is left.

    """
    from deploytasks.errors import Failure, Invalid

    try:
        file.open("x").close()
    except FileExistsError:
        raise Invalid.of(str(file), "is there already", "nothing was overwritten; choose another name") from None
    except OSError as error:
        to_do = "make its folder one that you may write to"
        raise Failure.of(str(file), f"it could not be written: {error.strerror}", to_do) from error
    try:
        write(file, text, "run the same command again")
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _replace(file: Path, text: str) -> None:
    """Write a draft beside the file and rename it; its name can't be guessed, and nothing planted there is followed."""
    draft = file.with_name(f".deploytasks.{os.urandom(8).hex()}")
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o666
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            stream.write(text)
        if file.exists():
            shutil.copymode(file, draft)  # without what the umask took
        draft.replace(file)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
