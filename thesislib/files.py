"""Files that are there whole or not at all, whatever ends the process or the machine.

Serves every stage that continues where it was cut short, and therefore trusts the files it finds.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let `write` fill a file, which gets its name only when it is whole and on the disk.

    A failed attempt leaves no file; a killed one leaves `<name>.writing`, which the next one overwrites. So two
    processes must not write one file at a time.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> write_whole(path, lambda file: file.write(b"whole"))
    >>> path.read_bytes()
    b'whole'
    """
    unfinished = path.with_name(path.name + ".writing")
    try:
        # Opened here, so that the file gets the rights of any other: others may share the store.
        with unfinished.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def sync_all(folder: Path) -> None:
    """`sync` of a folder and of everything in it, as before a rename that says that all is there."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power cut; Windows refuses to."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
