"""What every source of image labels is read into: which file is said to show which classes, and where that is said.

Only class names are taken: boxes, outlines and points of the sources are left alone. Nothing here corresponds to
published code; psa keeps the labels of VOC alone, in one array.
"""

import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from thesislib.data.voc import DataError

LISTED = 5
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
Problem = tuple[str, str]
"""What is wrong, with what to do; and the case at hand."""


class Entry(NamedTuple):
    """An image as its source names it, the classes it is said to show, and where that is said."""

    image: str
    classes: tuple[str, ...]
    where: str


class Source(NamedTuple):
    """All that was read from one source of labels.

    Attributes:
        kind: of source, in words.
        entries: an image each.
        classes: in the order of the source; empty where it has none.
        notes: what the source has and nobody uses.
        outlined: objects with outlines, of which true masks can be made.
    """

    kind: str
    entries: list[Entry]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    outlined: int = 0


def read_text(path: Path) -> str:
    """The text of a file in UTF-8 or UTF-16.

    Raises:
        DataError: it is missing or in another encoding.
    """
    try:
        content = path.read_bytes()
        encoding = next((name for bom, name in BOMS.items() if content.startswith(bom)), "utf-8")
        return content.decode(encoding)
    except (OSError, UnicodeError) as error:
        raise DataError(f"cannot read {path}: {error}. Store it as text in UTF-8") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds; raises `DataError` if it is none."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}. Export it again") from error


def files_below(folder: Path, *suffixes: str) -> list[Path]:
    """Files with one of these suffixes, in any case, in a folder and below it, without hidden ones."""
    found = [path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file()]
    return sorted(path for path in found if not is_hidden(path.relative_to(folder)))


def is_hidden(path: Path) -> bool:
    """Whether a file or a folder above it has a name that begins with a point, as the leavings of macOS have."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def of_each(read: Callable[[Path], Entry], paths: Iterable[Path]) -> list[Entry]:
    """The entry of every file.

    Raises:
        DataError: with all files that cannot be read.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            entries.append(read(path))
        except DataError as error:
            problems.append(("cannot be used: mend or delete them", str(error)))
    refuse("labels", problems)
    return entries


def refuse(what: str, problems: Sequence[Problem]) -> None:
    """Raise `DataError` that lists all problems, those of a kind together; nothing if there are none."""
    if problems:
        lines = [f"{what} cannot be used, {len(problems)} problem{'s' if len(problems) > 1 else ''}:"]
        for kind in dict.fromkeys(kind for kind, _ in problems):
            cases = [case for of_kind, case in problems if of_kind == kind]
            lines.append(f"- {len(cases)} {kind}: {some(cases)}")
        raise DataError("\n".join(lines))


def some(cases: Iterable[str], limit: int = LISTED) -> str:
    """The first few cases, and how many more there are.

    >>> some(["a", "b", "c"], limit=2)
    'a; b; and 1 more'
    """
    cases = list(cases)
    more = [f"and {len(cases) - limit} more"] if len(cases) > limit else []
    return "; ".join([*cases[:limit], *more])


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of every line that is not empty."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield number, line.strip()
