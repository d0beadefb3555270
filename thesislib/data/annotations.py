"""Annotations of PASCAL VOC: the names of what is in an image, which are all that weak supervision reads of them.

Published code: psa `voc12/make_cls_labels.py`, which takes every `<name>`. Deliberate difference: XML is parsed without
entities, and in any encoding that Python knows.
"""

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from thesislib.data.pictures import DataError


class Names(NamedTuple):
    """Text of every `<name>` element of an annotation, and of those of objects alone, without their parts."""

    every: list[str]
    objects: list[str]


def read_names(path: Path) -> list[str]:
    """Text of every `<name>` element of an annotation: objects, and their parts where they are annotated."""
    return read_all_names(path).every


def read_all_names(path: Path) -> Names:
    """The names in an annotation; raises `DataError` if the file is missing or no XML."""
    root = read_annotation(path)
    objects = [name for each in root.iter("object") for name in each.findall("name")]
    return Names(*([(each.text or "").strip() for each in found] for found in (root.iter("name"), objects)))


def read_annotation(path: Path) -> Element:
    """The root element of an annotation; raises `DataError` if the file is missing or no XML."""
    try:
        content = path.read_bytes()
        try:
            return fromstring(content)
        except (ValueError, LookupError):  # expat knows few encodings; Python knows more
            return fromstring(_decoded(content))
    except FileNotFoundError as error:
        raise DataError(
            f"no annotation {path}: image labels come from it; copy it, or use a split that has it"
        ) from error
    except LookupError as error:
        raise DataError(f"cannot read annotation {path}: {error}. Store it in UTF-8 and declare that") from error
    except (ParseError, DefusedXmlException, OSError, ValueError) as error:
        raise DataError(f"cannot read annotation {path}: {error}. Expected a VOC annotation in XML") from error


def _decoded(content: bytes) -> str:
    """XML as text without its declaration, by the encoding that it declares."""
    declared = re.match(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)[\"'][^>]*\?>", content)
    if not declared:
        return content.decode()
    return content[declared.end() :].decode(declared[1].decode())
