"""Archives from the network: downloads that go on after a break, checksums, and extraction that stays in its folder.

Serves the data of thesis 2.4.1 and 3.4.1. Addresses and checksums are those of torchvision (`datasets/voc.py`,
`datasets/sbd.py`); deliberate differences from it: a broken download continues where it stopped, an archive is looked
through before its first file is written, and a folder that looks extracted is extracted whole.
"""

import hashlib
import platform
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from thesislib.data.voc import DataError

BLOCK = 1 << 20  # bytes
TIMEOUT = 60  # seconds without a byte
_NOT_SATISFIABLE = 416


@dataclass(frozen=True)
class Archive:
    """A file to download: its name, its addresses in the order to try, its MD5 in hexadecimal, and its bytes."""

    filename: str
    urls: tuple[str, ...]
    md5: str
    size: int

    def __str__(self) -> str:
        return f"{self.filename} ({gigabytes(self.size)}, MD5 {self.md5}, {self.urls[0]})"


class _Unavailable(Exception):
    """One address did not give the file."""


def fetch(archive: Archive, folder: Path, *, progress: bool = False) -> Path:
    """Download to `folder` and verify; what an earlier attempt left in `<name>.part` is continued.

    Returns:
        The file. It has its name only when it is whole and its checksum is right.

    Raises:
        DataError: no network, no such file at any address, a wrong checksum, a full disk, or a Python that could not
            extract it, and what to do.
    """
    require_safe_extraction()
    target = folder / archive.filename
    part = folder / f"{archive.filename}.part"
    require_space(folder, 2 * archive.size - _size(part), f"{archive.filename} and what is extracted from it")
    reasons = []
    for url in archive.urls:
        try:
            _download(url, part, archive.size, progress)
            _require_checksum(part, archive.md5, progress)
        except _Unavailable as error:
            reasons.append(f"- {url}: {error}")
        else:
            return part.replace(target)
    kept = f"What arrived is kept in {part}; the same command goes on from there. " if part.is_file() else ""
    raise DataError(
        f"cannot download {archive.filename}:\n" + "\n".join(reasons) + f"\n{kept}Try again later, or download it by "
        f"hand (MD5 {archive.md5}) and put it into {folder}"
    )


def verify(path: Path, archive: Archive, *, progress: bool = False) -> None:
    """Raise `DataError` unless the file has the archive's checksum."""
    found = _md5(path, progress)
    if found != archive.md5:
        raise DataError(
            f"{path} has MD5 {found}, expected {archive.md5}: it is incomplete ({path.stat().st_size} of "
            f"{archive.size} bytes) or another file. Delete it, then copy it again or use --download"
        )


def extract(
    path: Path, folder: Path, wanted: Callable[[str], bool] = lambda name: True, *, progress: bool = False
) -> int:
    """Write the files of a tar archive whose names are `wanted` into `folder`, and return how many.

    Files appear in `folder` after all of them were extracted, lists (`.txt`) last, in the order of their names: data
    whose extraction was cut short lack at least the list `val`.

    Raises:
        DataError: a name that leads out of the folder, a link or device among the wanted (then nothing is written),
            an unreadable archive, a full disk, or a Python without the filter that is used.
    """
    require_safe_extraction()
    unpacked = folder / f"{path.name}.unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        with tarfile.open(path) as tar:
            content = tqdm(tar, f"reading {path.name}", unit="file", disable=not progress)
            members = [member for member in content if wanted(member.name)]
            _require_harmless(members, path)
            files = [member for member in members if member.isfile()]
            require_space(folder, sum(member.size for member in files), f"the content of {path.name}")
            for member in tqdm(files, f"extracting {path.name}", unit="file", disable=not progress):
                tar.extract(member, unpacked, filter="data")
        names = {PurePosixPath(member.name) for member in files}
        for name in sorted(names, key=lambda name: (name.suffix == ".txt", name)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (unpacked / name).replace(folder / name)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"cannot extract {path}: {str(error).partition(':')[0]}. See that {folder} can be written and has space; "
            "if it does, delete the archive and copy or download it again"
        ) from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return len(files)


def require_safe_extraction() -> None:
    """Raise `DataError` where Python lacks the extraction filters (PEP 706) that keep an archive in its folder."""
    if not hasattr(tarfile, "data_filter"):
        raise DataError(
            f"Python {platform.python_version()} cannot extract archives safely (its tarfile has no data_filter): use "
            "Python 3.11.4 or newer, or 3.12; or extract the archives by hand into --root and leave --download out"
        )


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise `DataError` unless the disk of `folder` has `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{folder} has {gigabytes(free)} free, but {purpose} needs {gigabytes(needed)}: "
            "free some space, or choose a --root on another disk"
        )


def gigabytes(size: int) -> str:
    """Bytes in a readable unit.

    >>> gigabytes(1_999_639_040), gigabytes(2500)
    ('2.0 GB', '2.5 kB')
    """
    for unit, step in (("GB", 10**9), ("MB", 10**6)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size / 1000:.1f} kB"


def _download(url: str, part: Path, size: int, progress: bool) -> None:
    while True:
        before = _size(part)
        try:
            if _receive(url, part, size, progress):
                return
            reason = "the connection broke"
        except HTTPError as error:
            raise _Unavailable(f"HTTP {error.code} {error.reason}") from error
        except (HTTPException, OSError) as error:
            reason = f"no answer ({getattr(error, 'reason', error)}); is there a network, does it need a proxy?"
        if _size(part) <= before:  # go on only as long as attempts bring something
            raise _Unavailable(reason)


def _receive(url: str, part: Path, size: int, progress: bool) -> bool:
    """Append what is missing of `part`; whether it is whole now."""
    have = _size(part)
    headers = {"User-Agent": "thesislib"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != _NOT_SATISFIABLE:
            raise
        if _total(error.headers.get("Content-Range")) == have:
            return True
        part.unlink()  # longer than the file: from another one
        return _receive(url, part, size, progress)
    with response:
        continued = response.status == 206
        if continued and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise _Unavailable(f"asked for the bytes from {have}, got {response.headers.get('Content-Range')}")
        length = response.headers.get("Content-Length")
        total = size if length is None else int(length) + have * continued
        bar = tqdm(
            desc=part.stem, total=total, initial=have * continued, unit="B", unit_scale=True, disable=not progress
        )
        with bar, _writing(part), part.open("ab" if continued else "wb") as file:
            for block in _blocks(response):
                file.write(block)
                bar.update(len(block))
    return _size(part) == total


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    """What arrives; ends where the connection does, so that every byte is kept."""
    with suppress(HTTPException, OSError):
        while block := response.read1(BLOCK):
            yield block


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror}. Make room, or choose another --root; the same command goes on "
            "from what is there"
        ) from error


def _require_checksum(part: Path, md5: str, progress: bool) -> None:
    found = _md5(part, progress)
    if found != md5:
        part.unlink()
        raise _Unavailable(f"the file there has MD5 {found}, expected {md5}; deleted")


def _require_harmless(members: list[tarfile.TarInfo], path: Path) -> None:
    for member in members:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
            kind = "a file" if member.isfile() else "a folder" if member.isdir() else "a link or device"
            raise DataError(
                f"{path} is not what it should be: {member.name!r} is {kind}; expected plain files below its own "
                "folder. Nothing was extracted; get the archive from its source"
            )


def _md5(path: Path, progress: bool) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    bar = tqdm(desc=f"MD5 of {path.name}", total=_size(path), unit="B", unit_scale=True, disable=not progress)
    with bar, path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()


def _total(content_range: str | None) -> int | None:
    found = re.fullmatch(r"bytes \*/(\d+)", content_range or "")
    return int(found[1]) if found else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
