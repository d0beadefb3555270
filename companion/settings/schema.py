"""Every hyper-parameter of the thesis as frozen, validated models.

Values without another source are those of the published code (thesis sections 2.4.1 and 3.4.1, jiwoon-ahn/psa and
Juliachang/SC-CAM). Register numbers (A1-A26, S1-S24) are those of docs/readings.md.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import BaseModel, Field, StrictBool, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from companion.settings.backbone import BackboneSettings
from companion.settings.base import Count, Frozen
from companion.settings.names import SettingsError, nearest, one_of
from companion.settings.presets import PRESETS
from thesislib.data.augmentation import Augmentation

Split = Literal["trainaug", "train", "val", "test"]
Factor = Annotated[float, Field(gt=0, le=8)]
Profile = Literal["released", "text"]
LEAST_COPY = 8
"""Pixels of the side of a copy, below which a map of it has one cell or two."""


class DataSettings(Frozen):
    """Which images. Counts and size describe the generated demo data; a folder brings its own.

    `train`, the scored split, is the first images of `trainaug`, the split that is trained on.
    """

    source: Literal["generated", "folder"] = Field(
        "folder",
        description="generated: images drawn by a program unless --data-root names a folder, and a ResNet-38 without a "
        "weight file starts from the demo's weights; folder: of --data-root, and weights from a file or the package",
    )
    image_size: int = Field(64, ge=32, le=512, description="side of a generated image in pixels")
    trainaug: int = Field(0, ge=0, description="generated training images with image labels")
    train: int = Field(0, ge=0, description="the first of them, on which response maps are scored")
    val: int = Field(0, ge=0)
    test: int = Field(0, ge=0)
    data_seed: int = Field(0, ge=0, description="seed of the generator, apart from the training seeds")

    @model_validator(mode="after")
    def _train_is_part_of_trainaug(self) -> Self:
        if self.train > self.trainaug:
            raise ValueError(f"train ({self.train}) must not exceed trainaug ({self.trainaug})")
        return self

    @model_validator(mode="after")
    def _there_is_something_to_generate(self) -> Self:
        for name in ("trainaug", "train", "val") if self.source == "generated" else ():
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 image, got {getattr(self, name)}")
        return self


class OptimiserSettings(Frozen):
    """How a network is trained; one step is one batch."""

    optimiser: Literal["sgd", "adam", "adamw"] = Field("sgd", description="S3: the text says Adam, the code runs SGD")
    schedule: Literal["poly", "one_cycle"] = "poly"
    learning_rate: float = Field(0.01, gt=0, le=10)
    weight_decay: float = Field(5e-4, ge=0, le=1)
    momentum: float = Field(5e-4, ge=0, lt=1, description="S20: what the published optimiser really runs")
    new_layer_factor: float = Field(10, gt=0, description="learning-rate factor of layers without pre-training")
    batch_size: int = Field(16, ge=1)
    accumulate: int = Field(1, ge=1, description="parts of a batch that go through the network one after the other")
    update_interval: int = Field(1, ge=1, description="steps between changes of the learning rate")
    epochs: int = Field(15, ge=1, description="S6")
    least_steps: int = Field(
        0,
        ge=0,
        description="of an epoch: few images are gone through several times in it; 0: once, as published",
        exclude_if=lambda steps: steps == 0,  # keys from before the option stay
    )

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate ({self.accumulate}) must divide batch_size ({self.batch_size})")
        return self


class PretextSettings(OptimiserSettings):
    """Pre-training on generated images, the demo's stand-in for ImageNet; asked for by `backbone.weights`."""

    images: int = Field(2400, ge=8)
    image_size: int = Field(32, ge=32, description="side of a pretext image, pixels")
    data_seed: int = Field(0, ge=0)


class ClassifierSettings(OptimiserSettings):
    """The multi-label classifier and the regularisers of chapter 2."""

    weights: str = Field("", description="file of a trained classifier; empty: train it")
    frozen: StrictBool = Field(True, description="freeze stem, stage 2 and every BatchNorm, as published")
    dropout: float = Field(0.5, ge=0, lt=1, description="channel dropout before pooling")
    feature_channels: int = Field(
        0, ge=0, le=4096, description="S4: of a 3x3 convolution before pooling, 512 in the text; 0: none, as released"
    )
    augmentation: Augmentation = Augmentation()
    mixup_alpha: float = Field(0, ge=0, le=8, description="Beta(alpha, alpha) of eq. 2.2; 0: no mixup")
    mixing: Literal["mixup", "hard_labels", "labels_only", "cutmix", "fmix"] = Field(
        "mixup",
        description="how examples are mixed where mixup_alpha is above 0: eq. 2.2, or another way of thesislib.mixing",
        exclude_if=lambda mixing: mixing == "mixup",  # keys from before the option stay
    )
    label_smoothing: float = Field(
        0,
        ge=0,
        lt=1,
        description="eps of y (1 - eps) + eps / 2, the targets of the classes",
        exclude_if=lambda eps: eps == 0,  # keys from before the option stay
    )
    lambda_ent: float = Field(
        0,
        ge=-100,
        le=100,
        description="A2: weight of eq. 2.3; above 0 the entropy is lowered, as (2.5) is written, below 0 raised, as "
        "2.2 motivates",
    )
    entropy_level: Literal["image", "pixel"] = Field("image", description="A1")
    entropy_score: Literal["sigmoid_max", "logit_max", "logit"] = Field("sigmoid_max", description="A2")
    lambda_con: float = Field(0, ge=0, le=100, description="weight of eq. 2.4 on a map of `concentration_map` cells")
    concentration_form: Literal["written", "floored"] = Field("written", description="A5")
    concentration_map: int = Field(
        28,
        ge=2,
        description="A4: side of the map on which lambda_con holds, 28 for SC-CAM's crop of 224, 56 for psa's of 448; "
        "other maps keep the unit-equivalent weight",
    )
    views: int = Field(
        1,
        ge=1,
        le=2,
        description="of every image in a batch, each augmented by itself; both are classified",
        exclude_if=lambda views: views == 1,  # keys from before the option stay
    )
    lambda_contrast: float = Field(
        0,
        ge=0,
        le=100,
        description="weight of a contrastive term on the pooled features of two views; not in the thesis",
        exclude_if=lambda weight: weight == 0,  # keys from before the option stay
    )
    contrast_temperature: float = Field(
        0.1,
        gt=0,
        le=10,
        description="divides the similarities of the contrastive term",
        exclude_if=lambda temperature: temperature == 0.1,  # keys from before the option stay
    )
    copy_scale: float = Field(
        0,
        ge=0,
        lt=1,
        description="of the sides of a smaller copy of every image, which is classified too; 0: none",
        exclude_if=lambda scale: scale == 0,  # keys from before the option stay
    )
    lambda_er: float = Field(
        0,
        ge=0,
        le=100,
        description="weight of SEAM's term, the difference of the maps of images and of their smaller copies; not in "
        "the thesis",
        exclude_if=lambda weight: weight == 0,  # keys from before the option stay
    )
    extra_term: str = Field("", description="a regulariser of your own, as module:function")
    lambda_extra: float = Field(0, ge=0)

    @model_validator(mode="after")
    def _views_can_be_compared(self) -> Self:
        if self.lambda_contrast and self.views == 1:
            raise ValueError("lambda_contrast compares two views of an image: set classifier.views = 2")
        if self.lambda_contrast and self.mixup_alpha:
            raise ValueError("lambda_contrast needs images as they are: set classifier.mixup_alpha = 0")
        return self

    @model_validator(mode="after")
    def _copies_show_something(self) -> Self:
        if self.lambda_er and not self.copy_scale:
            raise ValueError("lambda_er compares images with smaller copies: set classifier.copy_scale = 0.3")
        if self.copy_scale and int(self.copy_scale * self.augmentation.crop) < LEAST_COPY:
            raise ValueError(
                f"copies of a crop of {self.augmentation.crop} pixels at copy_scale = {self.copy_scale:g} have a side "
                f"below {LEAST_COPY}: raise classifier.copy_scale, or set it to 0 for none"
            )
        return self


class SubcategorySettings(Frozen):
    """Sub-category exploration, chapter 3 (SC-CAM script.sh, train_cls.py, create_pseudo_label.py)."""

    round: int = Field(0, ge=0, le=50, description="0: the plain classifier; r: trained with labels from round r - 1")
    k: int = Field(10, ge=1, le=200, description="K, clusters of each class")
    weight: float = Field(5, ge=0, le=100, description="lambda of eq. 3.3")
    labels: Literal["clusters", "random", "parent", "true", "none", "soft", "uniform"] = Field(
        "clusters",
        description="controls: clusters shuffled within each class, the classes themselves (K = 1), the sub-types of "
        "generated objects, no second head; not in the thesis: images shared among clusters, or equally among all K",
    )
    features: Literal["own", "plain", "under_map", "initial", "colours"] = Field(
        "own",
        description="what is clustered: features of the classifier of the round before, or, a control, those of the "
        "same round without the regularisers of chapter 2; not in the thesis: for each class those under its response "
        "map, features of the initial weights, colour histograms",
        exclude_if=lambda features: features == "own",  # keys from before the option stay
    )
    number: Literal["fixed", "silhouette", "finch"] = Field(
        "fixed",
        description="clusters of a class: K; or at most K, by silhouette or by the partitions of FINCH, which the "
        "thesis does not have",
        exclude_if=lambda number: number == "fixed",  # keys from before the option stay
    )
    tau: float = Field(
        1,
        gt=0,
        description="of soft labels softmax(-d^2 / tau), in mean squared distances to the own centroid",
        exclude_if=lambda tau: tau == 1,  # keys from before the option stay
    )
    init: Literal["initial", "previous"] = Field("initial", description="A13: weights that a round starts from")
    crop: int = Field(224, ge=16, description="S6: side of the training crop in rounds 1 and later, pixels")
    epochs: int = Field(61, ge=1, description="S6: length of the schedule of each round")
    used: tuple[Count, ...] = Field(
        (31, 41, 51), description="S6: epochs after which rounds 1, 2, ... are taken; empty: at the end"
    )
    checkpoints: tuple[Count, ...] = Field((1, 11, 21, 31, 41, 51, 61), description="S7: epochs that are reported")
    grid: tuple[Annotated[int, Field(ge=1, le=200)], ...] = Field((1, 5, 10, 20, 50), description="K of Fig. 3.4")

    @model_validator(mode="after")
    def _epochs_exist(self) -> Self:
        if beyond := [epoch for epoch in (*self.used, *self.checkpoints) if epoch > self.epochs]:
            raise ValueError(f"used and checkpoints must not exceed epochs ({self.epochs}), got {beyond}")
        return self

    @property
    def used_epoch(self) -> int:
        """The epoch after which the classifier of this round is taken; rounds beyond the list take its last."""
        return (self.used or (self.epochs,))[min(self.round, len(self.used)) - 1]


class CamSettings(Frozen):
    """Multi-scale response maps and their scoring."""

    scales: tuple[Factor, ...] = Field((1, 0.5, 1.5, 2), min_length=1)
    flip: StrictBool = True
    background: float = Field(0.15, ge=0, le=1, description="A16: fixed background threshold")
    splits: tuple[Split, ...] = Field(("train", "val"), min_length=1, description="where maps are computed and scored")
    head: Literal["parent", "merged"] = Field("parent", description="A17: maps of classes, or merged sub-categories")
    epoch: int = Field(0, ge=0, description="one of subcategories.checkpoints; 0: the classifier that is used")
    climb_steps: int = Field(
        0,
        ge=0,
        le=1000,
        description="maps of AdvCAM that are added up while the image climbs towards a class; 0: plain maps",
        exclude_if=lambda steps: steps == 0,  # keys from before the option stay
    )
    climb_size: float = Field(
        0.08,
        gt=0,
        le=10,
        description="largest change of a pixel in a step of AdvCAM, in units of the normalised image",
        exclude_if=lambda size: size == 0.08,  # keys from before the option stay
    )
    climb_direction: Literal["gradient", "shuffled"] = Field(
        "gradient",
        description="of AdvCAM's steps; shuffled, a control: the gradient's values at other pixels",
        exclude_if=lambda direction: direction == "gradient",  # keys from before the option stay
    )

    recam_weights: Literal["product", "first"] = Field(
        "product",
        description="of maps where recam.epochs is above 0: those of both classifiers multiplied, as published; or, a "
        "control, those of the first one",
        exclude_if=lambda weights: weights == "product",  # keys from before the option stay
    )

    @model_validator(mode="after")
    def _maps_that_climb_are_those_of_classes(self) -> Self:
        if self.climb_steps and self.head == "merged":
            raise ValueError("maps of AdvCAM are those of classes: set cam.head = 'parent', or cam.climb_steps = 0")
        return self


class RecamSettings(OptimiserSettings):
    """A trained classifier that learns on with a second one (zhaozhengChen/ReCAM run_sample.py)."""

    learning_rate: float = Field(5e-5, gt=0, le=10, description="of all that is trained already")
    weight_decay: float = Field(1e-4, ge=0, le=1)
    momentum: float = Field(1e-4, ge=0, lt=1, description="S20: its optimiser takes the weight decay for it as well")
    epochs: int = Field(0, ge=0, description="4 as published; 0: the classifier stays as it is")
    weight: float = Field(
        1, ge=0, le=100, description="of the second classifier's loss; 0, a control: the first one learns on alone"
    )


class RegularisedSettings(OptimiserSettings):
    """Self-regularisation of steps 2 and 3, which the thesis has in the classifier alone."""

    mixup_alpha: float = Field(
        0,
        ge=0,
        le=8,
        description="Beta(alpha, alpha) of mixup of images and of the losses of their pixels or pairs, or of maps of "
        "the backbone where only AffinityNet's head is trained; not in the thesis; 0: none",
        exclude_if=lambda alpha: alpha == 0,  # keys from before the option stay
    )
    mixing: Literal["mixup", "hard_labels"] = Field(
        "mixup",
        description="where mixup_alpha is above 0: losses are mixed too, or, a control, that of the image that weighs "
        "more is taken",
        exclude_if=lambda mixing: mixing == "mixup",  # keys from before the option stay
    )
    lambda_ent: float = Field(
        0,
        ge=0,
        le=100,
        description="weight of the entropy of the predictions, at most 1, of pixels or pairs; not in the thesis",
        exclude_if=lambda weight: weight == 0,  # keys from before the option stay
    )


class AffinitySettings(RegularisedSettings):
    """AffinityNet, its labels and the random walk (psa train_aff.py, infer_aff.py)."""

    weights: str = Field("", description="file of a trained AffinityNet, such as psa's res38_aff.pth; empty: train it")
    batch_size: int = Field(8, ge=1)
    epochs: int = Field(8, ge=1)
    trained: Literal["published", "head"] = Field(
        "published",
        description="head: the whole backbone stays as it is and its maps of whole images are computed once",
        exclude_if=lambda trained: trained == "published",  # keys from before the option stay
    )
    split: Split = Field("trainaug", description="images whose response maps teach the affinity")
    low_alpha: float = Field(4, gt=0, description="A21: power of the background score, large background")
    high_alpha: float = Field(32, gt=0, description="A21: small background")
    walk_alpha: float = Field(16, gt=0, description="A21: background score of the random walk")
    alphas: Literal["constant", "matched"] = Field(
        "constant",
        description="matched, a control: all three alphas times a factor with which the walk starts from as much "
        "background as on the maps of plain CAM of the same seed, whose threshold the constants are for",
        exclude_if=lambda alphas: alphas == "constant",  # keys from before the option stay
    )
    beta: float = Field(8, gt=0, description="power of the affinity in the transition")
    log2_steps: int = Field(8, ge=0, le=12)
    augmentation: Augmentation = Augmentation(long_side=None)


class CrfSettings(Frozen):
    """The dense CRFs; their parameters are named sets of `thesislib.refinement.crf`."""

    scale_factor: float = Field(1, gt=0, description="divides the CRF's distances, for images that many times smaller")


class SegmentationSettings(RegularisedSettings):
    """DeepLab-v2 (kazuto1011/deeplab-pytorch configs/voc12.yaml)."""

    learning_rate: float = Field(2.5e-4, gt=0, le=10)
    momentum: float = Field(0.9, ge=0, lt=1)
    batch_size: int = Field(10, ge=1)
    accumulate: int = Field(2, ge=1)
    update_interval: int = Field(10, ge=1)
    epochs: int = Field(19, ge=1, description="19 epochs of 1058 steps for the published 20,000 steps")
    supervision: Literal["pseudo", "truth"] = Field("pseudo", description="masks to train on; truth: the upper bound")
    pseudo_mask: Literal["rw_crf", "rw_label_crf", "rw"] = Field(
        "rw_crf", description="S24, A19: random walk with or without CRF; rw_label_crf: irn's CRF, of labels"
    )
    init: Literal["imagenet", "coco", "random", "backbone"] = Field(
        "imagenet",
        description="A22: what the ResNet-101 was trained on before; coco: pixel labels of MS-COCO; backbone: network "
        "and initial weights are those of the classifier instead",
    )
    weights: str = Field("", description="A22: the file of these initial weights; empty only where init is random")
    layout: Literal["torchvision", "caffe"] = Field(
        "torchvision", description="where a bottleneck has its stride; torchvision or deeplab-pytorch, as the file is"
    )
    blocks: tuple[Count, Count, Count, Count] = (3, 4, 23, 3)
    width: float = Field(1.0, gt=0, le=1)
    stride: Literal[4, 8] = 8
    dilations: tuple[Count, Count] = (2, 4)
    rates: tuple[Count, ...] = Field((6, 12, 18, 24), min_length=1, description="dilations of the summed convolutions")
    frozen: StrictBool = Field(True, description="BatchNorm with fixed statistics, as published")
    augmentation: Augmentation = Augmentation(
        long_side=None, scales=(0.5, 0.75, 1.0, 1.25, 1.5), crop=321, jitter=(0.0, 0.0, 0.0, 0.0)
    )
    splits: tuple[Split, ...] = Field(("val",), min_length=1, description="where masks are predicted")


class Settings(Frozen):
    """Everything that decides a number. `seed` drives initialisation, order, augmentation, mixing and dropout."""

    preset: str = Field("voc2012", description="one of presets.PRESETS")
    profile: Profile = "released"
    seed: int = Field(0, ge=0)
    data: DataSettings = DataSettings()
    pretext: PretextSettings = PretextSettings()
    backbone: BackboneSettings = BackboneSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    subcategories: SubcategorySettings = SubcategorySettings()
    recam: RecamSettings = RecamSettings()
    cam: CamSettings = CamSettings()
    affinity: AffinitySettings = AffinitySettings()
    crf: CrfSettings = CrfSettings()
    segmentation: SegmentationSettings = SegmentationSettings()

    @field_validator("preset")
    @classmethod
    def _is_registered(cls, preset: str) -> str:
        one_of("preset", preset, tuple(PRESETS))
        return preset

    @model_validator(mode="after")
    def _reactivated_maps_are_those_of_classes(self) -> Self:
        if self.recam.epochs and self.cam.head == "merged":
            raise ValueError("maps of ReCAM are those of classes: set cam.head = 'parent', or recam.epochs = 0")
        if self.cam.recam_weights == "first" and not (self.recam.epochs and self.recam.weight):
            raise ValueError(
                "cam.recam_weights chooses among two classifiers, and there is one: give recam.epochs and recam.weight "
                "above 0, or set cam.recam_weights = 'product'"
            )
        return self

    def override(self, overrides: Mapping[str, Any]) -> "Settings":
        """A copy with dotted names replaced.

        >>> Settings().override({"classifier.mixup_alpha": 0.4}).classifier.mixup_alpha
        0.4

        Raises:
            SettingsError: for an unknown name (names the nearest one) or a value outside its range.
        """
        tree = self.model_dump()
        for name, value in overrides.items():
            _place(tree, name, value)
        return validate(tree)


@cache
def names(model: type[Any] = Settings, prefix: str = "") -> Mapping[str, FieldInfo]:
    """All dotted names with their fields (default, range, description)."""
    found: dict[str, FieldInfo] = {}
    for name, field in _fields(model).items():
        kind = field.annotation
        if isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind)):
            found |= names(kind, f"{prefix}{name}.")
        else:
            found[prefix + name] = field
    return found


def _fields(model: type[Any]) -> dict[str, FieldInfo]:
    """Of settings, or of a dataclass of `thesislib` that is one of their fields."""
    if issubclass(model, BaseModel):
        return dict(model.model_fields)
    hints = get_type_hints(model)
    return {item.name: FieldInfo.from_annotated_attribute(hints[item.name], item) for item in fields(model)}


def _place(tree: dict[str, Any], name: str, value: Any) -> None:
    valid = names()
    if name not in valid:
        raise SettingsError(f"unknown setting {name!r}{nearest(name, list(valid))}")
    if name in ("preset", "profile"):
        raise SettingsError(f"{name} is chosen by the parameter of that name, not by an override")
    *path, last = name.split(".")
    for part in path:
        tree = tree[part]
    tree[last] = value


def validate(tree: dict[str, Any]) -> Settings:
    """Settings from a tree of values.

    Raises:
        SettingsError: lists every value that is outside its range.
    """
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            said = (
                "Input should be an integer of ordinary size"
                if problem["type"] == "int_parsing_size"
                else problem["msg"]
            )
            problems.append(f"{name or 'settings'} = {problem['input']!r}: {said}")
        raise SettingsError("invalid settings: " + "; ".join(problems)) from None
