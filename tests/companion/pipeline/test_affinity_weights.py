"""A released AffinityNet takes the place of the training, as a file of a classifier does."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from companion.cli import main as cli
from companion.pipeline import artefacts, engine
from companion.pipeline.stages import affinity, classifier, pseudo_masks
from companion.pipeline.store import Stage, Store
from companion.settings import Machine, Settings, SettingsError, load
from thesislib.models.weights import file_digest, load_weights

HERE = Machine(device="cpu")
SMOKE = load("smoke")


def released(folder: Path, name: str = "res38_aff.pth", seed: int = 5) -> Path:
    """An AffinityNet under the names of psa's file, whose backbone has no prefix, as wide as preset smoke's."""
    state = affinity.build(SMOKE.backbone, seed=seed).state_dict()
    torch.save({key.removeprefix("backbone."): tensor for key, tensor in state.items()}, folder / name)
    return folder / name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return released(tmp_path)


def with_file(path: Path, **overrides: object) -> Settings:
    return SMOKE.override({"affinity.weights": str(path)} | overrides)


def refined(settings: Settings) -> Stage:
    return pseudo_masks.refined_stage(settings, HERE, ("val",))


def test_nothing_that_teaches_an_affinity_is_computed(file: Path) -> None:
    assert {"affinity_labels", "affinity"} <= {stage.name for stage in refined(SMOKE).upstream()}
    names = [stage.name for stage in refined(with_file(file)).upstream()]
    assert "affinity_labels" not in names and names.count("affinity") == 1
    assert list(affinity.stage(with_file(file), HERE).upstream())[:-1] == []  # any data, any seed
    assert affinity.stage(with_file(file, seed=1), HERE).key == affinity.stage(with_file(file), HERE).key


def test_a_file_is_known_by_its_content(file: Path, tmp_path: Path) -> None:
    other = released(tmp_path, "other.pth", seed=6)
    elsewhere = shutil.copy(file, tmp_path / "elsewhere.pth")
    keys = [[affinity.stage(with_file(path), HERE).key, refined(with_file(path)).key] for path in (file, elsewhere)]
    assert keys[0] == keys[1]
    assert not set(keys[0]) & {affinity.stage(with_file(other), HERE).key, refined(with_file(other)).key}
    before = affinity.stage(with_file(file), HERE).key
    shutil.copy(other, file)
    assert affinity.stage(with_file(file), HERE).key != before


def test_maps_walk_along_the_affinities_of_the_file_itself_or_converted(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["weights", "import", str(file)]) == 0
    converted = file.with_suffix(".safetensors")
    assert f"--set affinity.weights={converted}" in capsys.readouterr().out
    trained = tmp_path / "classifier.pth"
    torch.save(classifier.build(SMOKE.backbone, SMOKE.classifier, 6, seed=0, k=0).state_dict(), trained)
    store, chosen = Store(tmp_path / "runs"), {"classifier.weights": str(trained)}
    stages = [refined(with_file(path, **chosen)) for path in (file, converted)]
    engine.run(stages, store)
    assert stages[0].key != stages[1].key
    expected = affinity.build(SMOKE.backbone)
    load_weights(expected, file)
    for path, stage in zip((file, converted), stages, strict=True):
        used = affinity.load(store.folder(stage.inputs["affinity"]), SMOKE.backbone, HERE)
        assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in used.state_dict().items())
        origin = store.provenance(stage.inputs["affinity"])["file"]
        assert origin == {"name": path.name, "sha256": file_digest(path, "sha256")}
        assert store.provenance(stage)["file"] is None
    first, second = (sorted((store.folder(stage) / artefacts.REFINED).iterdir()) for stage in stages)
    for ours, others in zip(first, second, strict=True):
        np.testing.assert_array_equal(np.load(ours)["scores"], np.load(others)["scores"])


def test_files_that_are_no_affinitynet_of_this_size_stop_before_anything_runs(file: Path, tmp_path: Path) -> None:
    torch.save(classifier.build(SMOKE.backbone, SMOKE.classifier, 6, seed=0, k=0).state_dict(), tmp_path / "cls.pth")
    (tmp_path / "cut.pth").write_bytes(file.read_bytes()[:-100])
    for path, message in (
        (tmp_path / "none.pth", "no weight file .*none.pth"),
        (tmp_path / "cls.pth", r"affinity\.weights: .*cls\.pth does not fit.* missing in the file: f8_3\.weight"),
        (tmp_path / "cut.pth", r"affinity\.weights: .*cut\.pth was refused: it is damaged"),
    ):
        with pytest.raises(SettingsError, match=message):
            engine.bind([refined(with_file(path))])
    with pytest.raises(SettingsError, match=r"190 of another shape \(file, model\): b2\."):
        engine.bind([refined(with_file(file, **{"backbone.width": 1 / 8}))])
