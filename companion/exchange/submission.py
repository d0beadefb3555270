"""Archive of predictions for the PASCAL VOC test server, checked before it is written and read back afterwards.

Thesis Table 3.4 (test column): segmentation of the 1456 test images, whose truth only the server has. The layout is
that of the VOC 2012 development kit: `results/VOC2012/Segmentation/<comp>_test_cls/<id>.png`, 8-bit indexed with VOC's
palette, a class for every pixel (no 255), at the size of the image. No published counterpart.
"""

import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from tqdm.auto import tqdm

from companion.datasets.checks import check
from companion.datasets.voc2012.protocol import VOC2012, ids_checksum
from companion.exchange.result_files import mask_problems, refuse, results_folder
from thesislib.data.voc import VOC_CLASSES, DataError, VocDataset, read_ids

Competition = Literal["comp5", "comp6"]
"""comp5: trained on VOC's segmentation images alone; comp6: on other data too, such as ImageNet."""
ENDINGS = (".zip", ".tar", ".tar.gz")
FOLDER = "results/VOC2012/Segmentation/{}_test_cls"
TEST = VOC2012.splits["test"]


def write_submission(
    folder: Path,
    output: Path,
    images: VocDataset | None = None,
    *,
    comp: Competition = "comp6",
    plain: bool = False,
    progress: bool = True,
) -> int:
    """Write the archive of the predictions in a folder, and read it back.

    Args:
        folder: `<id>.png` for each image of the test list and nothing else, or a run of stage `segmentation`, which
            may have other splits beside it.
        output: ends in `.zip`, `.tar` or `.tar.gz`; it appears when complete, in place of an earlier one.
        images: the split `test`; without it the names must be VOC 2012's test list, and sizes are not compared.
        comp: competition of the server.
        plain: of a run, the predictions before the CRF.
        progress: show a progress bar.

    Returns:
        Number of predictions in the archive.

    Raises:
        DataError: lists every missing, additional and wrong file; nothing is written.
        ValueError: another ending.
    """
    ending = next((ending for ending in reversed(ENDINGS) if output.name.endswith(ending)), None)
    if ending is None:
        raise ValueError(f"{output} must end in one of {', '.join(ENDINGS)}")
    folder = results_folder(folder, plain=plain)
    _require_test(folder)
    if images is not None:
        check(images, labels=False, masks=False)
    ids = _voc_test_ids(folder) if images is None else images.ids
    problems = _additional(folder, ids, images)
    predictions: dict[str, bytes] = {}
    for i, name in enumerate(tqdm(ids, desc="checking", unit="image", disable=not progress)):
        path = folder / f"{name}.png"
        if path.is_file():
            predictions[f"{FOLDER.format(comp)}/{path.name}"] = content = path.read_bytes()
            problems[path.name] = _problems(content, images, i)
        else:
            problems[path.name] = ["is missing"]
    refuse(f"{folder} is no submission for the {len(ids)} test images, so nothing was written:", problems)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as unfinished:
        archive = Path(unfinished) / output.name
        _write(archive, ending, predictions)
        _verify(archive, ending, predictions, images)
        archive.replace(output)
    return len(predictions)


def _problems(content: bytes, images: VocDataset | None, i: int) -> list[str]:
    num_classes = len(VOC_CLASSES if images is None else images.classes)
    return mask_problems(content, num_classes, None if images is None else images.size(i), paletted=True)


def _voc_test_ids(folder: Path) -> tuple[str, ...]:
    ids = sorted(path.stem for path in folder.glob("*.png"))
    if ids_checksum(ids) != TEST.checksum:
        raise DataError(
            f"the {len(ids)} names of the PNGs in {folder} are not the {TEST.images} of VOC 2012's test list; give "
            "--root, the data folder with that list and the test images, to see which are missing or too many"
        )
    return tuple(ids)


def _additional(folder: Path, ids: Sequence[str], images: VocDataset | None) -> dict[str, list[str]]:
    """Files that are no prediction of the list; a run of the store may have those of its other splits."""
    allowed = {f"{name}.png" for name in (*ids, *_ids_of_other_splits(folder, images))}
    return {path.name: ["is not in the test list"] for path in sorted(folder.iterdir()) if path.name not in allowed}


def _ids_of_other_splits(folder: Path, images: VocDataset | None) -> list[str]:
    if images is None:
        return []
    return [name for split in _splits_of_run(folder) for name in read_ids(images.root, split)]


def _splits_of_run(folder: Path) -> list[str]:
    """What a run of the store has predicted; nothing for another folder."""
    config = folder.parent / "config.json"
    return (
        json.loads(config.read_text(encoding="utf-8")).get("segmentation", {}).get("splits", [])
        if config.is_file()
        else []
    )


def _require_test(folder: Path) -> None:
    splits = _splits_of_run(folder)
    if splits and "test" not in splits:
        raise DataError(
            f"{folder} has predictions of {', '.join(splits)} alone: compute it with "
            """--set 'segmentation.splits=["val","test"]', from a data folder with the list and the images of test"""
        )


# --- The archive ------------------------------------------------------------------------------------------------------


def _write(path: Path, ending: str, files: Mapping[str, bytes]) -> None:
    if ending == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return
    with tarfile.open(path, "w:gz" if ending == ".tar.gz" else "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _read(path: Path, ending: str) -> dict[str, bytes]:
    if ending == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive}
        return {name: file.read() if file else b"" for name, file in files.items()}


def _verify(path: Path, ending: str, expected: Mapping[str, bytes], images: VocDataset | None) -> None:
    """The archive holds exactly these files, and what is read from it is still a prediction."""
    stored = _read(path, ending)
    if stored != expected:
        wrong = [name for name in expected.keys() | stored.keys() if stored.get(name) != expected.get(name)]
        raise DataError(f"{path} was not stored as it was written ({', '.join(sorted(wrong)[:5])}); is the disk whole?")
    contents = enumerate(stored.values())  # in the order of the test list
    refuse(f"{path} read back:", dict(zip(stored, (_problems(c, images, i) for i, c in contents), strict=True)))
