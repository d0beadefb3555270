"""Stages `refined_maps` and `pseudo_masks`: the random walk of the response maps, and the masks made of it.

Thesis 2.3.3 and 3.3.3, the CAM + RW columns of Tables 2.1 and 3.1. Published code: `infer_aff.py` of jiwoon-ahn/psa.
A mask is the arg-max of the refined scores, after a dense CRF (A19, A20) or without it (S24).
Images of one size walk together, which changes no result beyond rounding.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from companion.pipeline import artefacts, workers
from companion.pipeline.artefacts import RefinedMaps
from companion.pipeline.stages import affinity as affinity_stage
from companion.pipeline.stages import data as data_stage
from companion.pipeline.stages import matched_alphas, response_maps
from companion.pipeline.store import Job, Progress, Stage, without_file
from companion.settings import AffinitySettings, BackboneSettings, CrfSettings, Machine, Settings
from thesislib import metrics
from thesislib.data.transforms import to_tensor
from thesislib.data.voc import VocDataset
from thesislib.models.affinitynet import AffinityNet
from thesislib.precision import autocast
from thesislib.refinement import pad_to_stride, refine_maps
from thesislib.refinement.crf import IRN, PSA, dense_crf
from thesislib.training import memory_advice

VERSION = 1
LABEL_CONFIDENCE = 0.7  # irn's gt_prob


def refined_stage(settings: Settings, machine: Machine, splits: tuple[str, ...], label: str = "") -> Stage:
    """Random-walk scores of the response maps of `splits`."""
    trained = affinity_stage.stage(settings, machine, label)
    chosen = {
        "backbone": without_file(settings.backbone),
        "affinity": without_file(settings.affinity),
        "splits": list(splits),
    }
    inputs = {"data": data_stage.stage(settings, machine), "affinity": trained}
    for split in splits:
        inputs[f"maps of {split}"] = response_maps.stage_with(settings, machine, split, label)
        inputs |= matched_alphas.plain_maps(settings, machine, split)
    return Stage("refined_maps", VERSION, compute_refined, chosen, inputs, machine, label)


def masks_stage(settings: Settings, machine: Machine, split: str = "trainaug", label: str = "") -> Stage:
    """Pseudo-masks of a split, by default of all training images."""
    refined = refined_stage(settings, machine, (split,), label)
    chosen = {"split": split, "pseudo_mask": settings.segmentation.pseudo_mask, "crf": settings.crf}
    inputs = {"data": refined.inputs["data"], "refined_maps": refined}
    return Stage("pseudo_masks", VERSION, compute_masks, chosen, inputs, machine, label)


def compute_refined(job: Job, backbone: BackboneSettings, affinity: AffinitySettings, splits: list[str]) -> None:
    """Refined maps of every image of the splits, and confusion counts where there is truth."""
    model = affinity_stage.load(job.inputs["affinity"], backbone, job.machine)
    scores: dict[str, dict[str, np.ndarray]] = {}
    for split in splits:
        images = data_stage.open_split(job, split)
        maps = job.inputs[f"maps of {split}"]
        plain = job.inputs.get(matched_alphas.name_of(split))
        alpha = affinity.walk_alpha * matched_alphas.factor(affinity.walk_alpha, images.ids, maps, plain)
        chosen = affinity.model_copy(update={"walk_alpha": alpha})
        with memory_advice("THESIS_BATCH_PIXELS"):
            write_refined(model, images, maps, chosen, job.folder, job.machine, job.progress)
        scores[split] = score_labels(images, partial(_refined_labels, job.folder, images))
    artefacts.write_scores(job.folder, scores)


def write_refined(
    model: AffinityNet,
    images: VocDataset,
    maps: Path,
    settings: AffinitySettings,
    folder: Path,
    machine: Machine,
    progress: Progress,
) -> None:
    """The refined maps that `folder` lacks; `maps` is the folder of a stage `response_maps`.

    A batch of which one is lacking is computed whole: in another batch the network rounds otherwise.
    """
    done = 0
    for batch in data_stage.batches_of_one_size(images, range(len(images)), machine.batch_pixels):
        done += len(batch)
        lacking = [i for i in batch if not RefinedMaps.path(folder, images.ids[i]).is_file()]
        if not lacking:
            continue
        found = [affinity_stage.present_maps(maps, images.ids[i]) for i in batch]
        scores = [affinity_stage.walk_scores(present, settings.walk_alpha) for _, present in found]
        refined = refine(model, [images.image(i) for i in batch], scores, settings, machine.precision)
        for i, (classes, _), walked in zip(batch, found, refined, strict=True):
            if i in lacking:
                RefinedMaps(classes, walked.numpy()).write(folder, images.ids[i])
        progress(done, len(images), images.split)


@torch.no_grad()
def refine(
    model: AffinityNet,
    images: Sequence[np.ndarray],
    scores: Sequence[Tensor],
    settings: AffinitySettings,
    precision: str = "fp32",
) -> list[Tensor]:
    """Scores `(P+1, H, W)` of images of one size after the random walk along the affinities of each.

    `precision` is that of the network; the walk is computed in float32.
    """
    device = next(model.parameters()).device
    pictures = torch.stack([to_tensor(image, model.preprocessing) for image in images])
    with autocast(device, precision):
        pair_affinity = model(pad_to_stride(pictures, model.stride).to(device))
    rows = pad_sequence(list(scores), batch_first=True)  # P differs: rows of zeros, as each row walks by itself
    walked = refine_maps(
        rows.to(device),
        pair_affinity.float(),
        stride=model.stride,
        beta=settings.beta,
        log2_steps=settings.log2_steps,
    ).cpu()
    return [of_image[: len(own)] for of_image, own in zip(walked, scores, strict=True)]


def compute_masks(job: Job, split: str, pseudo_mask: str, crf: CrfSettings) -> None:
    """A mask of every image; and confusion counts on every split of the data that has truth for these images."""
    images = data_stage.open_split(job, split)
    task = partial(_write_mask, images, job.inputs["refined_maps"], job.folder, pseudo_mask, crf)
    workers.for_each_image(task, images, job.machine.data_workers, job.progress)
    scored = data_stage.open_split(job, "train") if split == "trainaug" else images

    def predict(i: int) -> np.ndarray:
        return artefacts.read_mask(job.folder, scored.ids[i])

    artefacts.write_scores(job.folder, {scored.split: score_labels(scored, predict)})


def _write_mask(images: VocDataset, refined: Path, folder: Path, pseudo_mask: str, crf: CrfSettings, i: int) -> None:
    name = images.ids[i]
    if artefacts.mask_path(folder, name).is_file():
        return
    found = RefinedMaps.read(refined, name)
    scores = final_scores(images.image(i), torch.from_numpy(found.scores), pseudo_mask, crf)
    artefacts.write_mask(folder, name, to_labels(found.classes, scores))


def final_scores(image: np.ndarray, scores: Tensor, pseudo_mask: str, crf: CrfSettings) -> Tensor:
    """Scores `(P+1, H, W)` whose arg-max is the pseudo-mask: those of the walk, or after the CRF (S24)."""
    if pseudo_mask == "rw" or len(scores) == 1:  # background alone leaves a CRF nothing to decide
        return scores
    if pseudo_mask == "rw_label_crf":
        probabilities = label_probabilities(scores.argmax(dim=0), len(scores))
        return dense_crf(image, probabilities, affinity_stage.crf_params(IRN, crf))
    probabilities = scores / scores.sum(dim=0, keepdim=True).clamp(min=1e-5)  # A20: renormalised per pixel
    return dense_crf(image, probabilities, affinity_stage.crf_params(PSA, crf))


def label_probabilities(labels: Tensor, count: int) -> Tensor:
    """Probabilities `(count, H, W)` of labels that are right with probability 0.7 (irn misc/imutils.py).

    >>> label_probabilities(torch.tensor([[0, 2]]), 3)[:, 0]
    tensor([[0.7000, 0.1500],
            [0.1500, 0.1500],
            [0.1500, 0.7000]])
    """
    certain = F.one_hot(labels, count).movedim(-1, 0).bool()
    return torch.where(certain, LABEL_CONFIDENCE, (1 - LABEL_CONFIDENCE) / (count - 1)).contiguous()


def to_labels(classes: np.ndarray, scores: Tensor) -> np.ndarray:
    """Arg-max of scores `(P+1, H, W)`, background first, as palette indices `(H, W)`."""
    names = np.concatenate([[0], classes.astype(np.uint8) + 1]).astype(np.uint8)
    return names[scores.argmax(dim=0).numpy()]


def _refined_labels(folder: Path, images: VocDataset, i: int) -> np.ndarray:
    found = RefinedMaps.read(folder, images.ids[i])
    return to_labels(found.classes, torch.from_numpy(found.scores))


def score_labels(images: VocDataset, predict: Callable[[int], np.ndarray]) -> dict[str, np.ndarray]:
    """Confusion counts `image_confusion` `(N, C+1, C+1)` of `predict(i)`; nothing where an image has no truth."""
    if not all(images.has_mask(i) for i in range(len(images))):
        return {}
    counts = []
    for i in range(len(images)):
        matrix = metrics.ConfusionMatrix(len(images.classes) + 1)
        matrix.update(images.mask(i), predict(i))
        counts.append(matrix.counts)
    return {"image_confusion": np.stack(counts)}
