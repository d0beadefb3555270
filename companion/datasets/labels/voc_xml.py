"""Annotations of PASCAL VOC: an XML file an image, whose objects have names."""

from functools import partial
from pathlib import Path
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from companion.datasets.labels.entries import Entry, Source, files_below, of_each
from thesislib.data.voc import DataError


def read(folder: Path) -> Source:
    """Labels of all `.xml` in a folder and below it; raises `DataError` with all that cannot be read."""
    return Source("annotations of VOC", of_each(partial(_entry, folder), files_below(folder, ".xml")))


def _entry(folder: Path, path: Path) -> Entry:
    try:
        root = parse(path).getroot()
    except (ParseError, DefusedXmlException, OSError, ValueError, LookupError) as error:
        raise DataError(f"{path} ({error})") from error
    if root.tag != "annotation":
        raise DataError(f"{path} (its root is <{root.tag}>, that of VOC's annotations <annotation>)")
    names = ((element.findtext("name") or "").strip() for element in root.iter("object"))
    image = path.relative_to(folder).with_suffix("").as_posix()
    return Entry(image, tuple(dict.fromkeys(name for name in names if name)), str(path))
