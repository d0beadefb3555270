from dataclasses import fields
from typing import get_args
from unittest import mock

import pytest

from companion import settings
from companion.pipeline.stages import classifier
from companion.settings import PRESETS, AffinitySettings, ClassifierSettings, SegmentationSettings, SettingsError, load
from companion.settings.schema import validate
from thesislib.mixing import LOSS_MIXINGS, MIXINGS
from thesislib.objectives import ClassifierObjective, unit_weight


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid_and_frozen(preset: str) -> None:
    chosen = load(preset)
    assert chosen.preset == preset
    with pytest.raises(ValueError, match="frozen"):
        chosen.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("classifier.mixup_alfa", "did you mean 'classifier.mixup_alpha'"),
        ("mixup_alpha", "did you mean 'classifier.mixup_alpha'"),
        ("zzz", "valid names"),
    ],
)
def test_unknown_names_get_the_nearest_valid_one(name: str, hint: str) -> None:
    with pytest.raises(SettingsError, match="unknown setting") as error:
        load("demo", {name: 1})
    assert hint in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("classifier.mixup_alpha", -0.1, "greater than or equal to 0"),
        ("classifier.mixup_alpha", float("nan"), "finite"),
        ("classifier.epochs", "many", "integer"),
        ("classifier.epochs", -1e30, "should be an integer of ordinary size"),
        ("classifier.concentration_form", "flored", "'written' or 'floored'"),
        ("backbone.stride", 5, "4 or 8"),
        ("data.train", 10_000, "must not exceed trainaug"),
    ],
)
def test_values_out_of_range_name_the_setting_and_the_range(name: str, value: object, expected: str) -> None:
    with pytest.raises(SettingsError) as error:
        load("demo", {name: value})
    assert name.split(".")[0] in str(error.value)
    assert expected in str(error.value)


def test_a_preset_is_registered_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "tiny", {"classifier.epochs": 1})
    assert (load("tiny").preset, load("tiny").classifier.epochs) == ("tiny", 1)
    with pytest.raises(SettingsError, match="unknown preset 'tiyn'; did you mean 'tiny'"):
        validate({"preset": "tiyn"})


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'demo'"):
        load("dmo")


def test_override_values_are_read_as_toml() -> None:
    assert settings.parse_override("classifier.lambda_con=1e-4") == ("classifier.lambda_con", 1e-4)
    assert settings.parse_override("cam.scales=[1, 0.5]") == ("cam.scales", [1, 0.5])
    assert settings.parse_override("backbone.weights=/a/b.params") == ("backbone.weights", "/a/b.params")
    with pytest.raises(SettingsError, match="name=value"):
        settings.parse_override("classifier.lambda_con")


def test_text_profile_applies_at_paper_scale_only() -> None:
    text, released = (load("voc2012", profile=name).classifier for name in ("text", "released"))
    assert (text.optimiser, text.learning_rate, text.weight_decay, text.feature_channels) == ("adam", 1e-3, 5e-4, 512)
    assert (released.optimiser, released.learning_rate, released.feature_channels) == ("sgd", 0.01, 0)
    with pytest.raises(SettingsError, match="it would change nothing of demo"):
        load("demo", profile="text")
    assert load("voc2012", {"classifier.feature_channels": 0}, profile="text").classifier.feature_channels == 0
    with pytest.raises(SettingsError, match="unknown profile 'txt'; did you mean 'text'"):
        load("voc2012", profile="txt")


@pytest.mark.parametrize(
    ("overrides", "data_root", "message"),
    [
        ({"seed": 7}, "", "--seeds 7"),
        ({"data.image_size": 96}, "photographs", "data.image_size is of generated images"),
    ],
)
def test_what_would_change_nothing_is_refused(overrides: dict[str, int], data_root: str, message: str) -> None:
    settings.check_effect({"data.image_size": 96, "data.source": "folder"}, "")
    settings.check_effect({"classifier.epochs": 3, "data.source": "folder"}, "photographs")
    with pytest.raises(SettingsError, match=message):
        settings.check_effect(overrides, data_root)


@pytest.mark.parametrize(("side", "unit"), [(28, 0.0392), (56, 0.1568), (2, 2e-4)])
def test_concentration_weight_converts_as_register_a4_computes(side: int, unit: float) -> None:
    chosen = load("voc2012", {"classifier.lambda_con": 2e-4, "classifier.concentration_map": side})
    objective = classifier.objective(chosen.classifier, num_classes=20)
    assert unit_weight(objective.lambda_con, objective.concentration_map) == pytest.approx(unit, rel=1e-3)


def test_every_setting_of_a_term_reaches_the_objective() -> None:
    """A regulariser's setting that the objective does not take would have no effect, or the other way round."""
    terms = set(ClassifierSettings.model_fields) - classifier.BESIDE_THE_OBJECTIVE
    assert terms == {field.name for field in fields(ClassifierObjective)} - {"num_classes", "lambda_sub", "extra"}
    others = {"entropy_level": "pixel", "entropy_score": "logit", "concentration_form": "floored"}
    others |= {"mixing": "fmix", "label_smoothing": 0.5}
    given = {name: others.get(name, 7) for name in terms}
    chosen = classifier.objective(ClassifierSettings.model_construct(**given), num_classes=20)
    assert {name: getattr(chosen, name) for name in terms} == given


def test_ways_to_mix_are_those_of_the_library_and_leave_old_keys_at_their_defaults() -> None:
    assert get_args(ClassifierSettings.model_fields["mixing"].annotation) == tuple(MIXINGS)
    new = {"mixing", "label_smoothing"}
    assert not new & ClassifierSettings(mixup_alpha=0.2).model_dump().keys()
    assert new <= ClassifierSettings(mixing="fmix", label_smoothing=0.1).model_dump().keys()


@pytest.mark.parametrize("step", [AffinitySettings, SegmentationSettings])
def test_later_steps_mix_as_the_library_does_and_leave_old_keys_at_their_defaults(step: type) -> None:
    assert get_args(step.model_fields["mixing"].annotation) == LOSS_MIXINGS
    new = {"mixup_alpha", "mixing", "lambda_ent"}
    assert not new & step().model_dump().keys()
    assert new <= step(mixup_alpha=0.2, mixing="hard_labels", lambda_ent=0.02).model_dump().keys()


@pytest.mark.parametrize("others", [{}, {"classifier.views": 2, "classifier.mixup_alpha": 0.2}])
def test_the_contrastive_term_needs_two_views_of_unmixed_images(others: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=r"lambda_contrast .*: set classifier"):
        load("demo", {"classifier.lambda_contrast": 1} | others)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"lambda_er": 1}, r"set classifier\.copy_scale = 0\.3"),
        ({"lambda_er": -1, "copy_scale": 0.3}, "lambda_er = -1: .*greater than or equal to 0"),
        ({"copy_scale": 1.5}, r"copy_scale = 1\.5: .*less than 1"),
        ({"copy_scale": 0.05}, r"crop of 80 pixels at copy_scale = 0\.05 have a side below 8"),
    ],
)
def test_equivariance_needs_copies_on_which_there_is_something_to_see(overrides: dict[str, float], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load("demo", {f"classifier.{name}": value for name, value in overrides.items()})


def test_copies_leave_old_keys_as_they_are() -> None:
    new = {"copy_scale", "lambda_er"}
    assert not new & ClassifierSettings().model_dump().keys()
    assert new <= ClassifierSettings(copy_scale=0.3, lambda_er=1).model_dump().keys()


def test_a_setting_that_the_objective_does_not_have_is_refused() -> None:
    class Forgotten(ClassifierSettings):
        lambda_of_nobody: float = 0

    with (
        mock.patch.object(classifier, "ClassifierSettings", Forgotten),
        pytest.raises(TypeError, match="lambda_of_nobody"),
    ):
        classifier.objective(Forgotten(), num_classes=20)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"crop": 15}, "classifier.augmentation.crop = 15: Input should be greater than or equal to 16"),
        ({"mirror": float("nan")}, "classifier.augmentation.mirror = nan: Input should be a finite number"),
        ({"jitter": (2, 0, 0, 0)}, "classifier.augmentation = .*jitter must be .* the first three in 0..1"),
        ({"scales": (1, 2)}, "classifier.augmentation = .*by long_side or by scales, .*: leave one out"),
        ({"order": "first"}, "classifier.augmentation.order = 'first': Input should be 'published' or 'crop_first'"),
    ],
)
def test_augmentation_is_validated_by_name(value: dict[str, object], said: str) -> None:
    (name,) = value
    with pytest.raises(SettingsError, match=said):
        load("demo", {f"classifier.augmentation.{name}": value[name]})


def test_names_go_into_the_augmentation() -> None:
    with pytest.raises(SettingsError, match=r"did you mean 'classifier.augmentation.crop'"):
        load("demo", {"classifier.augmentation.crp": 32})
    crop = settings.names()["segmentation.augmentation.crop"]
    assert (crop.default, crop.annotation) == (448, int) and "ge=16" in repr(crop.metadata)


def test_numbers_of_the_augmentation_are_written_as_before_in_keys() -> None:
    chosen = load("demo", {"segmentation.augmentation.jitter": (0, 0, 1, 0)}).segmentation
    for each in (chosen, SegmentationSettings()):
        dumped = each.model_dump(mode="json")["augmentation"]
        assert all(isinstance(number, float) for number in (*dumped["scales"], *dumped["jitter"]))
        assert list(dumped) == ["long_side", "crop", "mirror", "jitter", "scales", "order"]


@pytest.mark.parametrize(
    ("variable", "value"), [("DEVICE", "gpu"), ("DATA_WORKERS", "many"), ("CHECKPOINT_MINUTES", "-1")]
)
def test_wrong_environment_variable_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"THESIS_{variable}", value)
    with pytest.raises(SettingsError, match=f"the environment variable THESIS_{variable} = '{value}'"):
        settings.Machine()
    with pytest.raises(SettingsError, match=r"^precision = 'fp8'"):
        settings.Machine(precision="fp8", device="cpu", data_workers=0, checkpoint_minutes=5)


def test_coco_has_the_published_steps_of_deeplab_and_else_those_of_voc() -> None:
    def steps(preset: str, images: int, section: str, epochs: int) -> int:
        return epochs * (images // getattr(load(preset), section).batch_size)

    coco, voc = load("coco2014"), load("voc2012")
    assert (coco.backbone, coco.cam, coco.subcategories.k) == (voc.backbone, voc.cam, 10)
    assert steps("coco2014", 82_081, "segmentation", coco.segmentation.epochs) == pytest.approx(100_000, rel=0.02)
    assert coco.segmentation.batch_size // coco.segmentation.accumulate == 10
    assert steps("coco2014", 82_081, "affinity", coco.affinity.epochs) == pytest.approx(
        steps("voc2012", 10_582, "affinity", voc.affinity.epochs), rel=0.05
    )
    chosen, published = ((each.subcategories.epochs, *each.subcategories.used) for each in (coco, voc))
    for own, theirs in zip(chosen, published, strict=True):
        own_steps = steps("coco2014", 82_081, "classifier", own)
        assert own_steps == pytest.approx(steps("voc2012", 10_582, "classifier", theirs), rel=0.07)
