"""The two experiments of segmentation: their rows, what they need computed, and what they show of made-up results."""

import json
import re
import zlib
from functools import cached_property

import numpy as np
import printed_numbers
import pytest
from voc_folder import make_voc, write_split

from companion import settings
from companion.analysis import chain
from companion.analysis.claims import Row, Verdict
from companion.analysis.methods import SUPERVISED
from companion.experiments import parameters, row_stages
from companion.experiments.after_step import in_words
from companion.experiments.catalogue import EXPERIMENTS, experiment
from companion.experiments.exhibits import Figure, KeyNumber, Note, Table
from companion.experiments.tables_2_2_and_2_3 import Tables22And23
from companion.pipeline import artefacts, engine
from companion.settings import Machine, SettingsError
from thesislib.data.voc import VocDataset

PAPER = settings.load("voc2012")
SMOKE = settings.load("smoke")
HERE = Machine(device="cpu", crf=True)
BOTH = ("23_segmentation", "35_segmentation")
STEPS = ("response_maps", "refined_maps", "pseudo_masks", "segmentation")
CLASSES = ("heron", "fox", "snail")
SEEDS = range(3)
SHOWN = {
    "23_segmentation": "not_run chain_tables verdicts key_numbers chance_tables printed_tables ours crf_by_class "
    "first_images improved_here error_tables named_failures parts failures",
    "35_segmentation": "not_run chain_tables verdicts key_numbers chance_tables printed_tables counted_in_print ours "
    "improved_here crf_by_class one_class_each maps_and_masks first_images error_tables named_failures parts failures",
}


def planned(name, chosen=SMOKE, machine=HERE, **own):
    return experiment(name, chosen, SEEDS, machine, own)


# --- Rows -------------------------------------------------------------------------------------------------------------


def test_both_chapters_have_the_same_rows_of_another_method_and_chapter_3_the_other_reading_of_its_masks():
    for name, method in zip(BOTH, ("Mixup-CAM", "SC-CAM"), strict=True):
        rows = planned(name, PAPER, extra_rows={"mine": {}}, coco_weights="coco.pth").rows
        read = {"without_crf": "SC-CAM, masks without CRF"} if method == "SC-CAM" else {}
        controls = read | {"from_coco": f"{method}, from COCO weights", "own: mine": "mine"}
        assert {key: row.name for key, row in rows.items()} == {"cam": "CAM", "method": method} | controls
        assert [key for key, row in rows.items() if row.control] == [*controls]
        assert list(planned(name, PAPER).rows) == ["cam", "method", *read]


def test_some_rows_alone_keep_the_primary_claim_and_their_stages():
    for name in BOTH:
        two, every = planned(name, only_rows=["cam", "method"]), planned(name)
        assert [*two.trained] == [*two.rows] == ["cam", "method"] and two.controls == []
        assert {stage.key for stage in two.stages()} < {stage.key for stage in every.stages()}
        assert two.printed_gains == every.printed_gains
        bound = planned(name, only_rows=["cam", "method", "supervised"])
        assert [*bound.trained] == ["cam", "method", "supervised"] and bound.rows == two.rows
        with pytest.raises(SettingsError, match="only_rows: method is what the other rows are compared with"):
            planned(name, only_rows=["cam"]).stages()


def test_rounds_are_those_of_every_row_of_the_method():
    rows = planned("35_segmentation", PAPER, rounds=2, coco_weights="coco.pth").rows
    rounds = {key: row.overrides.get("subcategories.round") for key, row in rows.items()}
    assert rounds == {"cam": None, "method": 2, "without_crf": 2, "from_coco": 2}


def test_row_from_coco_weights_differs_in_its_start_alone_and_is_not_ranked(tmp_path):
    chosen, file = settings.load("voc2012", {"segmentation.weights": "resnet101.pth"}), str(tmp_path / "coco.pth")
    rows = planned("23_segmentation", chosen, coco_weights=file).rows
    coco, mixup = rows["from_coco"], rows["method"]
    assert parameters.differences(chosen.override(coco.overrides), chosen.override(mixup.overrides)) == {
        "segmentation.init": ("coco", "imagenet"),
        "segmentation.weights": (file, "resnet101.pth"),
        "segmentation.layout": ("caffe", "torchvision"),
    }
    names = [rows["cam"].name, coco.name, SUPERVISED.name, mixup.name]
    assert chain.groups(names, [*rows.values(), SUPERVISED]) == ["weak", None, None, "weak"]
    assert chain.initial_weights(chosen, [*rows.values()]) == (
        "DeepLab starts from ImageNet weights (A22); in the row “Mixup-CAM, from COCO weights”, from MS-COCO weights, "
        "trained with pixel labels."
    )


@pytest.mark.parametrize("name", ["CAM", "Mixup-CAM, from COCO weights", "fully supervised"])
def test_taken_names_are_refused(name):
    with pytest.raises(SettingsError, match="is taken by a row"):
        planned("23_segmentation", extra_rows={name: {}}, coco_weights="coco.pth").stages()


@pytest.mark.parametrize("key", ["cam", "method", "supervised"])
def test_a_row_of_the_user_may_be_called_as_a_key(key):
    rows = planned("23_segmentation", extra_rows={key: {}}).trained
    assert {row.name for row in rows.values()} >= {"CAM", "Mixup-CAM", "fully supervised", key}


@pytest.mark.parametrize("name", BOTH)
def test_what_the_rows_differ_in_cannot_be_set_beside_them(name):
    with pytest.raises(SettingsError, match=r"subcategories\.round is what the rows .* differ in"):
        planned(name, settings.load("demo", {"subcategories.round": 2})).stages()


def test_a_given_classifier_is_refused_where_the_method_trains_its_own():
    given = settings.load("voc2012", {"classifier.weights": "res38_cls.pth"})
    with pytest.raises(SettingsError, match="The tables of segmentation trains each of its rows"):
        planned("23_segmentation", given).stages()
    assert planned("35_segmentation", given).rows == planned("35_segmentation", PAPER).rows
    with pytest.raises(SettingsError, match="rounds must be at least 1, got 0"):
        planned("35_segmentation", rounds=0).stages()


# --- What is computed -------------------------------------------------------------------------------------------------


def test_every_step_of_every_row_is_planned_and_the_upper_bound_is_segmented_alone():
    asked = planned("35_segmentation")
    rows = [row.name for row in asked.rows.values()]
    for step, stages in asked.planned.items():
        expected = [row.name for row in asked.trained.values()] if step == "segmented" else rows
        assert list(stages) == [(row, seed) for row in expected for seed in SEEDS]
    assert [stage.name for stage in asked.stages()] == [
        *(name for name in STEPS[:2] for _ in range(9)),
        *["pseudo_masks"] * 18,
        *["segmentation"] * 12,
    ]
    without = planned("35_segmentation", machine=Machine(device="cpu", crf=False)).stages()
    assert {stage.name for stage in without} == {"response_maps"}


def test_a_missing_file_of_weights_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(row_stages, "crf_available", lambda: True)
    asked = planned("23_segmentation", coco_weights="/nowhere.pth")
    with pytest.raises(SettingsError, match=r"no weight file /nowhere\.pth"):
        engine.bind(asked.stages())


# --- What is printed --------------------------------------------------------------------------------------------------


def test_printed_gains_are_differences_of_transcribed_numbers():
    gains = {name: [(each.source, each.thesis) for each in planned(name).printed_gains] for name in BOTH}
    assert gains["23_segmentation"] == [("Table 2.1", 2.1), ("Table 2.1", 3.8), ("Table 2.2", 3.7)]
    table_3_1 = [("Table 3.1", points) for points in (2.9, 2.8, 5.3, 4.2)]
    assert gains["35_segmentation"] == [*table_3_1, ("Table 3.4 minus Table 2.2", 4.2)]
    assert in_words(planned("35_segmentation").printed_gains) == (
        "on VOC train: CAM +2.9, random walk +5.3; on VOC val: CAM +2.8, random walk +4.2, DeepLab + CRF +4.2"
    )
    assert planned("35_segmentation").remark_on_gains.endswith(
        "61.9 in Table 2.2; above the 61.7 of Table 3.4 it is +4.4)"
    )


def test_notes_give_the_numbers_that_were_counted_before():
    (comparison, classes, counts), (other, of_3) = (list(planned(name).printed_tables()) for name in BOTH)
    assert "is 63.2 (S10). Without CRF Mixup-CAM is 13.7 points below AffinityNet on aeroplane (S12)" in classes.note
    assert "its masks with the network of the thesis reach 61.9 on val (Table 2.2)" in other.note
    assert counts.name == "improved" and counts.frame["classes"].iloc[0] == 8  # as transcribed: `derived`
    names = ("table_2_2", "table_2_3", "table_3_4", "table_3_3")
    assert (comparison.name, classes.name, other.name, of_3.name) == names
    improved, *notes = planned("35_segmentation").counted_in_print()
    assert improved.note.startswith("The printed 11 of 20 is the first line")
    assert [note.text.partition(":")[2] for note in notes[:1]] == [
        " on aeroplane SC-CAM reaches 49.6 without and 51.6 with CRF, AffinityNet, without CRF, 68.2, the "
        "others, with CRF, 76.6 to 78.4."
    ]
    assert "lowers pottedplant from 40.7 to 40.2" in notes[1].text


# --- What is shown of made-up results ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = make_voc(tmp_path_factory.mktemp("data"), n=9, classes=CLASSES, size=(24, 32))
    write_split(root, "trainaug", VocDataset(root, "train").ids)
    return root


def predicted(images, i, rng, right):
    """The truth with a share of its pixels replaced by any class."""
    truth = images.mask(i)
    return np.where(rng.random(truth.shape) < right, truth % 255, rng.integers(0, 4, truth.shape)).astype(np.uint8)


def counted(truth, mask):
    valid = truth != 255
    return np.bincount(4 * truth[valid].astype(int) + mask[valid], minlength=16).reshape(4, 4)


@pytest.fixture
def made_up(data_root, tmp_path):
    """Leaves in a folder what the stages would, the better the later the step; the same for the same row and seed."""
    images = VocDataset(data_root, "val")

    def leave(folder, stage, key):
        rng = np.random.default_rng(zlib.crc32(repr((stage.name, *key)).encode()))
        parts = ("val/plain", "val/crf") if stage.name == "segmentation" else ("train", "val")
        scores = {}
        for number, part in enumerate(parts):
            masks = [predicted(images, i, rng, 0.3 + 0.1 * STEPS.index(stage.name) + 0.05 * number) for i in range(9)]
            counts = np.stack([counted(images.mask(i), mask) for i, mask in enumerate(masks)])
            scores[part] = {"image_confusion": counts, "confusion": counts.sum(axis=0)[None]}
            if stage.name == "segmentation":
                for name, mask in zip(images.ids, masks, strict=True):
                    artefacts.write_mask(folder, name, mask, part.removeprefix("val/"))
        artefacts.write_scores(folder, scores)
        if stage.name == "response_maps":
            for i, name in enumerate(images.ids):
                classes = np.flatnonzero(images.labels[i]).astype(np.uint8)
                maps = rng.random((len(classes), 24, 32)).astype(np.float32)
                artefacts.ResponseMaps(classes, maps).write(folder, name)

    def compute(stages):
        found = {}
        for key, stage in stages.items():
            found[key] = tmp_path / stage.name / stage.key
            if key != "data" and not found[key].exists():
                found[key].mkdir(parents=True)
                leave(found[key], stage, key)
        return found

    return compute


def ask(kind, name, data_root, made_up, **own):
    """An experiment of a kind that computes nothing but makes results up."""
    machine = Machine(device="cpu", crf=True, data_root=str(data_root))
    return kind(**vars(experiment(name, SMOKE, SEEDS, machine, own, made_up)))


def exhibits(asked):
    """All that the cells of the notebook show, by what it is known by."""
    found = {}
    for method in SHOWN[asked.notebook].split():
        for each in getattr(asked, method)():
            match each:
                case Table() | Figure():
                    found[each.name] = each
                case KeyNumber():
                    found[each.label] = each
                case Verdict():
                    found[each.claim] = each
                case Note():
                    found[each.text] = each
    return found


@pytest.mark.parametrize("name", BOTH)
def test_cells_of_the_notebook_show_all_there_is(name, data_root, made_up):
    source = json.loads((settings.project.NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    code = "".join("".join(cell["source"]) for cell in source if cell["cell_type"] == "code")
    asked = ask(EXPERIMENTS[name], name, data_root, made_up)
    assert all(re.search(rf"segmentation\.{method}\b", code) for method in SHOWN[name].split())
    found = exhibits(asked)
    names = {result.replace(".", "_").replace("-", "_") for result in asked.reproduces}
    assert names <= set(found)
    assert {"chain", "effects", "gains", "seeds", "images", "ours", "classes", "crf_by_class", "errors"} <= set(found)
    assert "parts" not in found  # known on generated images alone


class WithAnotherRow(Tables22And23):
    """A row between plain CAM and the method."""

    @cached_property
    def every_row(self):
        cam, *others = super().every_row.items()
        return dict([cam, ("new", Row("new", {"classifier.mixup_alpha": 0.4}, control=True)), *others])


def test_a_row_inserted_in_the_middle_breaks_nothing(data_root, made_up):
    before, after = (
        exhibits(ask(kind, "23_segmentation", data_root, made_up)) for kind in (Tables22And23, WithAnotherRow)
    )
    assert list(before) == list(after)
    for name, each in before.items():
        if isinstance(each, Verdict | KeyNumber | Note):
            assert each == after[name], name
        elif isinstance(each, Figure):
            assert (each.caption, each.alt) == (after[name].caption, after[name].alt), name
        else:
            changed = {"ours", "classes", "images", "errors", "error_places", "crf_by_class"}
            assert each.frame.equals(after[name].frame) == (name not in changed), name
    ours = {name: found["ours"].frame for name, found in (("before", before), ("after", after))}
    assert list(ours["after"].index) == ["CAM", "new", *list(ours["before"].index)[1:]]
    assert ours["after"].drop("new").equals(ours["before"])


def test_a_row_of_the_user_is_in_the_tables_of_the_chain(data_root, made_up):
    asked = ask(Tables22And23, "23_segmentation", data_root, made_up, extra_rows={"cam": {"classifier.mixup_alpha": 1}})
    table, *_ = asked.chain_tables()
    assert list(table.frame) == [f"{row}, {split}" for row in ("CAM", "Mixup-CAM", "cam") for split in ("train", "val")]


def test_verdicts_are_on_the_differences_of_the_chain(data_root, made_up):
    for name in BOTH:
        asked = ask(EXPERIMENTS[name], name, data_root, made_up)
        shown = [each for each in [*asked.verdicts(), *asked.control_verdicts()] if isinstance(each, Verdict)]
        found = {each.claim: each for each in shown}
        assert shown[0].primary and shown[0].claim == f"{asked.method.name} is above plain CAM: DeepLab + CRF, val"
        assert not any(each.primary or (each.p and not each.adjusted) for each in shown[1:])
        method = asked.method.name
        walk, crf = "random walk minus response maps", "DeepLab + CRF minus DeepLab"
        placed = {f"{walk}: CAM", f"{walk}: {method}", f"{crf}: {method}", f"after DeepLab + CRF: {method} > CAM"}
        assert placed <= printed_numbers.answered(found.values())
        for split, scores in asked.chains.items():
            for step in scores:
                claim = f"{method} is above plain CAM: {chain.IN_WORDS[step]}, {split}"
                if claim in found:
                    assert found[claim].difference == chain.gain(scores, step, method)
        assert sum("is above plain CAM" in claim for claim in found) == len(asked.printed_gains)
        if "without_crf" in asked.rows:
            without = found["A CRF on the pseudo-masks improves the segmentation (S24, val)"].difference
            assert without == chain.gain(asked.val, chain.SHARPENED, method, asked.rows["without_crf"].name)
