"""What results of `gpu_check` say: the hours they project, and the settings that fit into a card's memory.

Nothing is said that was not measured: a kind of work without a measurement has no hours, and a card without a file has
no advice. The thesis' own GPU had 12 GB (2.4.1, 3.4.1). Nothing here corresponds to published code.
"""

from companion.analysis.gpu_results import Record, device, measured
from companion.cost import operations, work
from companion.settings import Settings

SPARE_GIB = 1.0  # of a card, for the CUDA context and the display; PyTorch's own count does not have them
TRAINED = {
    work.CLASSIFIER.format(crop=448): "classifier.accumulate",
    work.AFFINITY: "affinity.accumulate",
    work.SEGMENTER: "segmentation.accumulate",
}
"""Trainings that were measured in parts of a batch, and the setting that says in how many."""
BATCHED = (work.MAPS, work.FEATURES, work.REFINED)


def seconds(record: Record) -> dict[str, float]:
    """Shortest measured seconds of a unit of each kind of work; those of networks in bf16."""
    found: dict[str, float] = {}
    for entry in measured(record, "training", "training, in parts", "inference", "crf"):
        if entry["precision"] == "bf16" or entry["kind"] == work.CRF:
            found[entry["kind"]] = min(entry["seconds"], found.get(entry["kind"], float("inf")))
    return found


def projected(record: Record, chosen: Settings) -> Record:
    """Hours of the whole thesis on VOC for one seed, from the counted units and the measured seconds.

    Returns:
        `hours` by kind of work, None where it was not measured; `gpu_hours`, their sum without the CRF, None where one
        is missing; `crf_core_hours`; `pflop`, all operations (10^15).
    """
    works = work.whole_thesis(chosen)
    hours = work.hours(works, seconds(record))
    on_gpu = [value for kind, value in hours.items() if kind != work.CRF]
    return {
        "seeds": 1,
        "hours": hours,
        "gpu_hours": None if None in on_gpu else sum(value for value in on_gpu if value is not None),
        "crf_core_hours": hours.get(work.CRF),
        "pflop": sum(each.units * each.flops for each in works) / work.PETA,
    }


def fitting(record: Record, gib: float) -> dict[str, int]:
    """Settings with which the measured trainings and inference fit into a card of `gib` GiB; nothing unmeasured.

    Returns:
        For each training the fewest parts of a batch that fit, and as THESIS_BATCH_PIXELS what images may go through
        together. A setting is missing where no measurement fits.
    """
    limit, found = gib - SPARE_GIB, {}
    entries = measured(record, "training", "training, in parts", "inference")
    in_bf16 = [entry for entry in entries if entry["precision"] == "bf16" and entry["reserved_gib"] is not None]
    fits = [entry for entry in in_bf16 if entry["reserved_gib"] <= limit]
    for kind, setting in TRAINED.items():
        parts = [entry["accumulate"] for entry in fits if entry["kind"] == kind]
        if parts:
            found[setting] = min(parts)
    counts = [max((entry["images"] for entry in fits if entry["kind"] == kind), default=0) for kind in BATCHED]
    if min(counts):
        found["THESIS_BATCH_PIXELS"] = min(counts) * operations.VOC_SIZE[0] * operations.VOC_SIZE[1]
    return found


def summary(record: Record) -> str:
    """What was measured and projected, in a few lines."""
    states = [entry["state"] for entry in record["measurements"]]
    lines = [f"{device(record)}: {', '.join(f'{states.count(s)} {s}' for s in ('measured', 'failed', 'skipped'))}"]
    found = record["projection"]
    if found is None:
        return lines[0] + "\ntiny networks: nothing here says anything about the thesis"
    missing = [kind for kind, value in found["hours"].items() if value is None and kind != work.CRF]
    if missing:
        lines.append(f"hours of the whole thesis: unknown, for these were not measured: {', '.join(missing)}")
    else:
        lines.append(f"whole thesis on VOC, one seed: {found['gpu_hours']:.1f} hours of this GPU")
    if found["crf_core_hours"] is None:
        lines.append("dense CRF: not measured (its library is not installed, or it was skipped)")
    else:
        lines.append(f"dense CRF beside it: {found['crf_core_hours']:.1f} hours of a processor core")
    return "\n".join(lines)
