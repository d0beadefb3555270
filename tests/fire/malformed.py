"""Malformed inputs of every kind: is each refused at once, by a sentence that names it and says what to do?"""

import os
import random
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fire import inputs, mutations
from fire.outcomes import BENIGN, FAULT, HELD, Outcome
from fire.processes import begin, command

PATIENCE = 150  # seconds, of which a busy machine needs some to start a process
REMEDY = (
    r"expected|must |copy|download|choose|give |use |set |delete|take |replace|export|store |compute|execute|train|"
    r"get it|make |arrange|create|did you mean|valid names|add |remove|write |start |is given|install|leave |allowed|"
    r"from \d|at least|should be|greater than|less than|one of|such as|instead of|outside"
)


@dataclass(frozen=True)
class Target:
    """A file that a command reads.

    Attributes:
        kind: of input.
        file: within the folder of inputs.
        command: arguments of `thesis`, in which {} is that folder.
        mutate: what may happen to the file.
        whole: whether it still is what it should be; raises where it cannot be read.
    """

    kind: str
    file: str
    command: str
    mutate: Sequence[mutations.Mutation]
    whole: Callable[[Path], bool]


DATA = "data/VOCdevkit/VOC2012"
LISTS = f"{DATA}/ImageSets/Segmentation"
CHECK = "data check --root {}/data --workers 1"
RUN = "run 21_response_maps --preset smoke --seeds 1 --runs-dir {}/out/runs --reports-dir {}/out/reports"
DATA_STAGE = "stage classifier --preset smoke --runs-dir {}/out/runs --data-root {}/data"
SCORE = "score {}/%s --root {}/data --split val --workers 0 --json {}/out/scores.json"
IMPORT = "weights import {}/%s --output {}/out/out.safetensors"
COMPARE = "compare {}/a/maps {}/b/maps --output {}/out/c.html"
FILES = [
    Target("image", f"{DATA}/JPEGImages/2000_000003.jpg", CHECK, mutations.BYTES, inputs.whole_image),
    Target("mask", f"{DATA}/SegmentationClass/2000_000004.png", CHECK, mutations.BYTES, inputs.whole_mask),
    Target("XML", f"{DATA}/Annotations/2000_000001.xml", CHECK, mutations.TEXT, inputs.whole_annotation),
    Target("XML", f"{DATA}/Annotations/2000_000001.xml", DATA_STAGE,
           mutations.TEXT, inputs.whole_annotation),
    Target("list", f"{LISTS}/train.txt", CHECK, mutations.TEXT, inputs.whole_list),
    Target("list", f"{LISTS}/trainaug.txt", DATA_STAGE, mutations.TEXT, inputs.whole_list),
    Target("list", f"{DATA}/classes.txt", CHECK, mutations.TEXT, inputs.whole_classes),
    Target("CSV", "b/maps/scores.csv", COMPARE, mutations.TEXT, inputs.whole_table),
    Target("batch", "batch.toml", "batch {}/batch.toml --dry-run --runs-dir {}/out/runs --reports-dir {}/out/reports",
           mutations.TEXT, inputs.whole_batch),
    Target("weights .pth", "weights.pth", IMPORT % "weights.pth", mutations.BYTES, inputs.whole_weights),
    Target("weights .safetensors", "weights.safetensors", IMPORT % "weights.safetensors",
           mutations.BYTES, inputs.whole_weights),
    Target("weights .params", "w.params", IMPORT % "w.params", mutations.BYTES, inputs.whole_weights),
    Target("weights .pth", "weights.pth",
           f"{RUN} --set backbone.width=0.015625 --set backbone.weights={{}}/weights.pth",
           mutations.BYTES, inputs.whole_weights),
    Target("npz", "maps/2000_000005.npz", SCORE % "maps", mutations.ARRAYS, inputs.whole_maps),
    Target("npz", "maps/2000_000002.npz", "export {}/maps --layout irn --output {}/out/irn --root {}/data",
           mutations.ARRAYS, inputs.whole_maps),
    Target("npy of psa", "psa/2000_000005.npy", SCORE % "psa", mutations.BYTES, inputs.whole_dictionary),
    Target("mask, scored", "masks/2000_000005.png", SCORE % "masks", mutations.BYTES, inputs.whole_prediction),
    Target("results.json", "b/maps/results.json", COMPARE,
           mutations.JSON, inputs.whole_record),
    Target("own picture", "own.jpg", f"{RUN.replace('21_response_maps', '00_quickstart')} -p image {{}}/own.jpg "
           "-p image_labels [\"heron\"]", mutations.BYTES, inputs.whole_picture),
]  # fmt: skip


def one(case: int, folder: Path) -> Outcome:
    """Spoil one input, run the command that reads it, and judge what it says."""
    rng = random.Random(case)
    whole = folder / "inputs"
    if not whole.is_dir():
        shutil.rmtree(folder / "inputs.part", ignore_errors=True)
        inputs.make(folder / "inputs.part").rename(whole)
    place = folder / f"malformed-{case}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place)
    (place / "out").mkdir()
    if case % 4 == 3:
        return _without_file(case, rng, place)
    target = rng.choice(FILES)
    mutate, path = rng.choice(target.mutate), place / target.file
    before = path.read_bytes()
    after = mutate(rng, before)
    path.write_bytes(after)
    arguments = [word.replace("{}", str(place)) for word in target.command.split()]
    what = f"{target.kind}, {mutate.__name__}: thesis {arguments[0]}"
    status, said, written = _run(place, arguments)
    malformed = after != before and not _whole(target, path, status)
    return _outcome(case, place, what, judge(status, said, written, [path.name, path.stem]), malformed, said)


def _whole(target: Target, path: Path, status: int | None) -> bool:
    if path.suffix == ".params" and status != 0:  # whoever refuses one had a reason, the judge of it is its message
        return False
    try:
        return target.whole(path)
    except Exception:
        return False


def _without_file(case: int, rng: random.Random, place: Path) -> Outcome:
    """A setting, a parameter or a variable of the environment that cannot be right."""
    kind, arguments, environment, names = rng.choice((_setting, _parameter, _batch_value, _variable))(rng, place)
    status, said, written = _run(place, arguments, environment)
    what = f"{kind}: {' '.join(arguments[-3:]).replace(str(place), '')} {environment or ''}".rstrip()
    return _outcome(case, place, what, judge(status, said, written, names), True, said)


def _setting(rng: random.Random, place: Path) -> Any:
    from companion.settings import names

    known = sorted(names())
    name = rng.choice(known)
    if rng.randrange(4) == 0:
        at = rng.randrange(1, len(name))
        wrong = name[:at] + name[at + 1 :] + "x"
        return "setting, unknown", _run_with(place, f"--set {wrong}=1"), {}, [wrong]
    value = rng.choice(("{a=1}", "nan", "inf", "-1e30", '"\\u00e9"', "[[]]", "1979-05-27", "[1, 'a']"))
    return "setting, wrong value", [*_run_with(place), "--set", f"{name}={value}"], {}, [name]


def _run_with(place: Path, more: str = "") -> list[str]:
    return f"{RUN} {more}".replace("{}", str(place)).split()


def _wrong(rng: random.Random) -> str:
    return rng.choice(('{"a": 1}', "[[1]]", "NaN", "wrong", "null", "1e400", '{"a": NaN}', "[null]"))


def _parameter(rng: random.Random, place: Path) -> Any:
    known = ("preset", "seeds", "overrides", "alpha", "lambda_ent", "data_seed", "extra_rows", "only_rows", "step_2",
             "images_shown", "profile")  # fmt: skip
    name = rng.choice(known)
    if rng.randrange(5) == 0:
        return "parameter, unknown", [*_run_with(place), "-p", f"{name}_", "1"], {}, [f"{name}_"]
    return "parameter, wrong value", [*_run_with(place), "-p", name, _wrong(rng)], {}, [name]


def _batch_value(rng: random.Random, place: Path) -> Any:
    lines = inputs.BATCH.splitlines()
    at = rng.choice([i for i, line in enumerate(lines) if "=" in line])
    name = lines[at].split(" = ")[0]
    lines[at] = f"{name} = {rng.choice(('nan', '[nan]', '[inf]', '{}', '[]', '[[]]', '1979-05-27', '[{a = 1}]'))}"
    (place / "batch.toml").write_text("\n".join(lines))
    return f"batch, {lines[at]}", ["batch", f"{place}/batch.toml", "--dry-run"], {}, ["batch.toml"]


def _variable(rng: random.Random, place: Path) -> Any:
    name = rng.choice(("DEVICE", "PRECISION", "DATA_WORKERS", "BATCH_PIXELS", "CHECKPOINT_MINUTES", "COMPILE"))
    value = rng.choice(("wrong", "-1", "nan", "1e400", "[]"))
    return "variable", _run_with(place), {f"THESIS_{name}": value}, [f"THESIS_{name}"]


def _run(
    place: Path, arguments: Sequence[str], environment: dict[str, str] | None = None
) -> tuple[int | None, str, list[str]]:
    """Exit status, what was said, and files that were written."""
    before = _listing(place)
    log = place.with_suffix(".log")
    log.unlink(missing_ok=True)
    process = begin(log, until_long_work, arguments, environment or {})
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
        status = None
    else:
        status = process.exitcode
    said = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return status, said, sorted({name for name, _ in _listing(place).items() ^ before.items()})


def until_long_work(arguments: Sequence[str], environment: dict[str, str]) -> int:
    """The command; one that would execute a notebook or train has found nothing wrong, and ends there."""
    from companion.pipeline.stages import backbone
    from companion.reports import driver

    os.environ.update(environment)
    driver.make = backbone.compute_converted = lambda *_, **__: os._exit(0)  # type: ignore[assignment]
    return command(arguments)


def _listing(place: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file, but those of a stage that is unfinished and says so."""
    files = [path for path in place.rglob("*") if path.is_file() and path.suffix != ".lock"]
    found = {str(p.relative_to(place)): p.stat() for p in files if not any(q.suffix == ".part" for q in p.parents)}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


def judge(status: int | None, said: str, written: Sequence[str], names: Sequence[str]) -> list[str]:
    """What is wrong with how a malformed input was met."""
    if status is None:
        return [f"no end within {PATIENCE} s"]
    if status == 0:
        return ["accepted"]
    found = [] if status in (1, 2) else [f"status {status}"]
    if "Traceback" in said:
        found.append("a traceback")
    if not any(name in said for name in names):
        found.append(f"does not name {names[0]}")
    if not re.search(REMEDY, said, re.IGNORECASE):
        found.append("no remedy")
    if written:
        found.append(f"wrote {', '.join(written[:3])}")
    return found


def _outcome(case: int, place: Path, what: str, wrong: list[str], malformed: bool, said: str) -> Outcome:
    verdict = (FAULT if wrong else HELD) if malformed else BENIGN
    if not malformed and wrong and wrong != ["accepted"] and "Traceback" in said:
        verdict = FAULT
    if verdict != FAULT:
        shutil.rmtree(place)
    message = said.replace(str(place), "").strip()[-400:]
    return Outcome("malformed", case, what, verdict, "; ".join([*wrong, message]) if verdict == FAULT else "")
