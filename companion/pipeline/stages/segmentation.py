"""Stages `segmenter` and `segmentation`: DeepLab-v2 trained on pseudo-masks, and its predictions.

Thesis 2.3.3, 2.4.3, 3.3.3 and 3.4.4, step 3: Tables 2.2, 2.3, 3.3, 3.4. Published code: `main.py` of
kazuto1011/deeplab-pytorch. The CRF at test time gets the raw image (S22).
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from companion.datasets.fingerprints import masks_fingerprint
from companion.datasets.voc2012.protocol import supervision_masks
from companion.pipeline import artefacts
from companion.pipeline.artefacts import SEGMENTATIONS
from companion.pipeline.stages import affinity as affinity_stage
from companion.pipeline.stages import backbone as backbone_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.stages import pseudo_masks
from companion.pipeline.store import Job, Stage, absolute_path, without_file
from companion.pipeline.training import train_stage
from companion.settings import BackboneSettings, CrfSettings, Machine, SegmentationSettings, Settings, SettingsError
from thesislib import randomness
from thesislib.data.transforms import augment_jointly, to_tensor
from thesislib.data.voc import DataError, VocDataset, read_mask
from thesislib.later_objectives import SegmentationObjective
from thesislib.models import published as registry
from thesislib.models.deeplab import DeepLabV2, ResNet101
from thesislib.models.weights import load_weights, save_weights
from thesislib.precision import autocast, place
from thesislib.refinement.crf import DEEPLAB, dense_crf

VERSION = 1
INITIAL_WEIGHTS = {
    init: f"{registry.where(name)}, with segmentation.layout={registry.get(name).network.layout}"
    for init, name in (("imagenet", "resnet101-imagenet-v1"), ("coco", "deeplab-coco"))
}
"""A22: which file is meant, by `segmentation.init`."""


def segmenter_stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """The segmentation network trained on the pseudo-masks of `settings`, or on the truth (upper bound).

    Binding it raises `SettingsError` where the initial weights cannot be had, see `read_initial_weights`.
    """
    segmentation = settings.segmentation
    trained = {"splits": SegmentationSettings().splits}  # those predicted later change no training
    chosen = {
        "segmentation": without_file(segmentation).model_copy(update=trained),
        "seed": settings.seed,
    }
    inputs = {"data": data_stage.stage(settings, machine)}
    if segmentation.init == "backbone":
        chosen |= shared_backbone(settings)
        inputs["backbone"] = backbone_stage.stage(settings, machine)
    if segmentation.supervision == "pseudo":
        inputs["masks"] = pseudo_masks.masks_stage(settings, machine, label=label)
    file, reads = absolute_path(segmentation.weights), partial(_read_files, segmentation.weights)
    fills = data_stage.fills_a_batch(settings, "segmentation", "trainaug")
    return Stage("segmenter", VERSION, compute_segmenter, chosen, inputs, machine, label, file, reads, fills)


def shared_backbone(settings: Settings) -> dict[str, BackboneSettings]:
    """The backbone of the classifier where the segmentation network stands on it, as a part of keys."""
    return {"backbone": without_file(settings.backbone)} if settings.segmentation.init == "backbone" else {}


def _read_files(given: str, stage: Stage) -> dict[str, str]:
    read, root = read_initial_weights(given, stage), stage.machine.data_root
    if "masks" not in stage.inputs and root and (print_ := masks_fingerprint(VocDataset(root, "trainaug"))):
        read["masks"] = print_
    return read


def read_initial_weights(given: str, stage: Stage) -> dict[str, str]:
    """The checksum of the file of initial weights, empty where they are random; arguments as `backbone.read_file`.

    Raises:
        SettingsError: weights other than random without a file or the reverse, COCO weights in another layout than
            their own, or no such file.
    """
    segmentation = stage.settings["segmentation"]
    init = segmentation.init
    if init in ("random", "backbone"):
        if given:
            raise SettingsError(
                f"segmentation.init = {init!r} reads no file, but segmentation.weights is {given}: set "
                "segmentation.init to 'imagenet' or 'coco', whichever the file comes from, or leave weights empty"
            )
        return {"checksum": ""}
    if not given:
        raise SettingsError(
            f"segmentation.init = {init!r} needs a file: set segmentation.weights to {INITIAL_WEIGHTS[init]}; "
            "or set segmentation.init to 'random'"
        )
    if init == "coco" and segmentation.layout != "caffe":
        raise SettingsError(
            f"segmentation.init = 'coco' with segmentation.layout = {segmentation.layout!r}: expected layout 'caffe', "
            f"for the file is {INITIAL_WEIGHTS[init]}"
        )
    return backbone_stage.read_file(given, stage)


def stage(settings: Settings, machine: Machine, label: str = "") -> Stage:
    """Predictions of that network with and without the dense CRF."""
    trained = segmenter_stage(settings, machine, label)
    chosen = {"segmentation": without_file(settings.segmentation), "crf": settings.crf, **shared_backbone(settings)}
    inputs = {"data": trained.inputs["data"], "segmenter": trained}
    return Stage("segmentation", VERSION, compute, chosen, inputs, machine, label)


def build(
    settings: SegmentationSettings,
    num_classes: int,
    generator: torch.Generator | None = None,
    backbone: BackboneSettings | None = None,
) -> DeepLabV2:
    """DeepLab-v2 of these settings; `num_classes` with background, `backbone` of the classifier in place of its own."""
    network = backbone_stage.build(backbone) if backbone else _resnet101(settings)
    if settings.frozen:
        network.freeze()
    return DeepLabV2(network, num_classes, rates=settings.rates, generator=generator)


def _resnet101(settings: SegmentationSettings) -> ResNet101:
    return ResNet101(
        settings.blocks, settings.width, stride=settings.stride, dilations=settings.dilations, layout=settings.layout
    )


def load(
    folder: Path,
    settings: SegmentationSettings,
    num_classes: int,
    machine: Machine,
    backbone: BackboneSettings | None = None,
) -> DeepLabV2:
    """The network in the folder of a stage `segmenter`, in evaluation mode on the machine's device.

    Raises:
        LeftOut: its weights are not published.
    """
    model = build(settings, num_classes, backbone=backbone)
    load_weights(model, artefacts.weights_path(folder, artefacts.SEGMENTER_WEIGHTS))
    return place(model.eval(), machine.torch_device)


def compute_segmenter(
    job: Job,
    segmentation: SegmentationSettings,
    seed: int,
    checksum: str,
    masks: str = "",
    backbone: BackboneSettings | None = None,
) -> None:
    """Train on `trainaug` and keep the weights and the loss of every step."""
    images = data_stage.open_split(job, "trainaug", cache=True)
    torch.manual_seed(seed)
    heads = randomness.torch_generator(seed, randomness.INITIALISATION)
    model = build(segmentation, len(images.classes) + 1, heads, backbone)
    if backbone:
        load_weights(model, job.inputs["backbone"] / artefacts.BACKBONE_WEIGHTS, heads=False)
    if job.file:
        load_weights(model, job.file, heads=False)
    dataset = _MaskedImages(images, job.inputs.get("masks"), model, segmentation, seed)
    history = train_stage(job, model, dataset, len(images), objective(segmentation), segmentation, seed)
    save_weights(model, job.folder / artefacts.SEGMENTER_WEIGHTS)
    artefacts.write_history(job.folder, history)


class _MaskedImages(Dataset):
    """Augmented images with their masks, addressed by (epoch, index); truth where there is no folder of masks."""

    def __init__(
        self, images: VocDataset, masks: Path | None, model: DeepLabV2, settings: SegmentationSettings, seed: int
    ) -> None:
        self.images, self.seed = images, seed
        self.preprocessing = model.preprocessing
        self.augmentation = settings.augmentation
        paths = [artefacts.mask_path(masks, name) for name in images.ids] if masks else supervision_masks(images)
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise DataError(
                f"{len(missing)} of {len(paths)} masks are missing in {paths[0].parent}, such as {missing[0]}; compute "
                "the pseudo-masks again, or for the upper bound use data with true masks of trainaug"
            )
        for i, path in enumerate(paths):
            with Image.open(path) as mask:  # reads the header alone
                if mask.size[::-1] != images.size(i):
                    raise DataError(
                        f"mask {path} has {mask.size[1]} x {mask.size[0]} pixels, its image "
                        f"{' x '.join(map(str, images.size(i)))}; compute the masks again from the images as they are"
                    )
        self.paths = paths

    def __getitem__(self, address: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = address
        rng = randomness.generator(self.seed, randomness.AUGMENTATION, epoch, index)
        mask = read_mask(self.paths[index])
        view, (labels,) = augment_jointly(
            self.images.image(index), [mask], rng, self.augmentation, preprocessing=self.preprocessing
        )
        return view, labels


def objective(segmentation: SegmentationSettings) -> SegmentationObjective:
    """What a batch is trained on."""
    return SegmentationObjective(segmentation.mixup_alpha, segmentation.mixing, segmentation.lambda_ent)


def compute(
    job: Job, segmentation: SegmentationSettings, crf: CrfSettings, backbone: BackboneSettings | None = None
) -> None:
    """Masks without and with the CRF, and confusion counts of both where there is truth."""
    scores: dict[str, dict[str, np.ndarray]] = {}
    params = affinity_stage.crf_params(DEEPLAB, crf)
    for split in segmentation.splits:
        images = data_stage.open_split(job, split)
        model = load(job.inputs["segmenter"], segmentation, len(images.classes) + 1, job.machine, backbone)
        for i, name in enumerate(images.ids):
            if not artefacts.mask_path(job.folder, name, SEGMENTATIONS[-1]).is_file():
                probabilities = predict(model, images.image(i), job.machine.precision)
                sharpened = dense_crf(images.image(i), probabilities, params)
                for kind, result in zip(SEGMENTATIONS, (probabilities, sharpened), strict=True):
                    mask = result.argmax(dim=0).to(torch.uint8).numpy()
                    artefacts.write_mask(job.folder, name, mask, kind)
            job.progress(i + 1, len(images), split)
        for kind in SEGMENTATIONS:
            predicted = partial(_read, job.folder, kind, images)
            scores[f"{split}/{kind}"] = pseudo_masks.score_labels(images, predicted)
    artefacts.write_scores(job.folder, scores)


def _read(folder: Path, kind: str, images: VocDataset, i: int) -> np.ndarray:
    return artefacts.read_mask(folder, images.ids[i], kind)


@torch.no_grad()
def predict(model: DeepLabV2, image: np.ndarray, precision: str = "fp32") -> Tensor:
    """Class probabilities `(C+1, H, W)` of one image at its own size; `precision` is that of the forward pass."""
    device = next(model.parameters()).device
    with autocast(device, precision):
        logits = model(to_tensor(image, model.preprocessing)[None].to(device))
    enlarged = F.interpolate(logits.float(), image.shape[:2], mode="bilinear", align_corners=False)
    return enlarged.softmax(dim=1)[0].cpu()
