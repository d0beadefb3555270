"""`thesis masks` on a few images: files at their size, a page, scores, new images; and what is refused."""

import csv
from pathlib import Path

import numpy as np
import pytest
from own_files import write_images, write_truth
from PIL import Image

from companion.cli import main as cli
from companion.cli import masks as cli_masks
from companion.experiments.own_images import METHODS
from companion.reports.masks import TABLE
from thesislib.data.voc import read_mask
from thesislib.refinement.crf import crf_available

needs_crf = pytest.mark.skipif(not crf_available(), reason="masks need the dense CRF")
NAMES = ["x/a 1.JPG", "x/b.jpg", "c.png", "d.jpg"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    write_images(folder / "images", NAMES)
    write_images(folder / "images", NAMES[:1], size=(200, 300))
    (folder / "labels.csv").write_text("image,class\nx/a 1,cat\nb,dog\nc,cat;dog\nd,dog\n")
    return folder


def masks(*arguments: str | Path) -> int:
    return cli.main(["masks", "--preset", "smoke", *map(str, arguments)])


def test_the_methods_that_are_written_out_are_those_of_the_experiment():
    assert tuple(METHODS) == cli_masks.METHODS


@pytest.mark.slow
@needs_crf
def test_labels_become_masks_and_a_run_makes_masks_of_new_images(photographs, tmp_path, capsys):
    truth, output = write_truth(tmp_path / "truth", ["b", "c", "d"]), tmp_path / "out"
    given = ["--images", photographs / "images", "--labels", photographs / "labels.csv", "--output", output]
    assert masks(*given) == 0
    for name, shown in {"x/a 1": {1}, "x/b": {2}, "c": {1, 2}, "d": {2}}.items():
        mask = read_mask(output / "masks" / f"{name}.png")
        assert mask.shape == ((200, 300) if name == "x/a 1" else (90, 120))
        assert set(np.unique(mask).tolist()) <= shown | {0}
        assert (output / "overlays" / f"{name}.jpg").is_file()
    assert (output / "classes.txt").read_text() == "cat\ndog\n"
    with (output / TABLE).open() as file:
        assert [row["labels"] for row in csv.DictReader(file)] == ["cat;dog", "dog", "cat", "dog"]
    assert "mIoU with your masks" not in (output / "report.html").read_text()

    capsys.readouterr()
    before = sorted(output.glob("runs/*/*"))
    assert masks(*given, "--truth", truth, "--maps") == 0
    assert "0 stages to compute" in capsys.readouterr().out and sorted(output.glob("runs/*/*")) == before
    assert Image.open(output / "maps" / "c-dog.png").size == (120, 90)
    page = (output / "report.html").read_text()
    for said in ("mIoU with your masks", "on 3 images", "Images to look at first", "undecided", "Contact sheet"):
        assert said in page

    write_images(tmp_path / "new", ["later.jpg"], size=(100, 150))
    assert masks("--model", output, "--output", tmp_path / "more", tmp_path / "new") == 0
    assert read_mask(tmp_path / "more" / "masks" / "later.png").shape == (100, 150)


@needs_crf
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--images", "{images}"], "needs --images and --labels"),
        (["{images}"], "need both --model"),
        (["--model", "{folder}", "{images}"], "is not the --output of a finished"),
        (["--images", "{images}", "--labels", "{folder}/nothing.csv"], "no labels at"),
        (["--images", "{images}", "--labels", "{folder}/labels.csv", "--set", "affinity.batch_size=8"], "fewer than"),
    ],
)
def test_what_cannot_work_is_refused_at_once(arguments, said, photographs, tmp_path, capsys):
    places = {"images": photographs / "images", "folder": photographs}
    assert masks(*(each.format(**places) for each in arguments), "--output", tmp_path / "out") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "masks").exists()
