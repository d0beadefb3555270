"""Reports of notebooks made by hand: their records and files, and what a page made of them says."""

import base64
import io
from pathlib import Path
from typing import Any

import bs4
import numpy as np
from PIL import Image
from scipy import stats

from companion.reports.record import FILE, Record

HOSTILE = "<script>alert('x')</script>"
A, B = [48.0, 49.0, 50.0], [50.0, 52.0, 55.0]


def number(label: str, values: list[float], **more: Any) -> dict[str, Any]:
    """A key number as a notebook records it, by the textbook formula of the interval."""
    mean, std, n = float(np.mean(values)), float(np.std(values, ddof=1)), len(values)
    low, high = stats.t.interval(0.95, n - 1, mean, std / n**0.5)
    found = {"label": label, "value": mean, "std": std, "low": low, "high": high, "n": n, "values": values}
    return (
        found
        | {"text": f"{mean:.1f}", "interval": f"[{low:.1f}, {high:.1f}]", "thesis": None, "thesis_text": "", "note": ""}
        | more
    )


def place(row: str, source: str = "Table 2.1") -> dict[str, Any]:
    return {"source": source, "row": row, "split": "train", "stage": "response maps", "measure": "mIoU"}


def png(colour: int, size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(colour).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "png")
    return buffer.getvalue()


def write_report(folder: Path, name: str = "21_maps", values: list[float] = A, **changes: Any) -> Path:
    """The exports of a report, and a page for it."""
    exports = folder / name
    exports.mkdir(parents=True)
    (exports / "scores.csv").write_text(f"method,mIoU,mIoU low,mIoU high\nCAM,{values[0]!r},40.5,60.5\nplain,7,,\n")
    (exports / "same.csv").write_text("method,images\nCAM,12\n")
    (exports / "curve.png").write_bytes(png(int(values[0])))
    (exports / "drawing.png").write_bytes(png(1))
    shown = {"verdict": "undecided", "difference": "+1.0", "interval": "[−1.0, +3.0]", "note": ""}
    claim = {"claim": f"A > B {HOSTILE}", "thesis": 2.1, "value": 1.0, "low": -1.0, "high": 3.0, "n": 3}
    beside = [number("", values) | place(row) | {"thesis": thesis} for row, thesis in (("CAM", 48.0), ("mixup", 49.3))]
    text = {"caption": f"Caption {HOSTILE}", "alt": f"alt {HOSTILE}"}
    found = {
        "notebook": name,
        "state": "done",
        "title": f"Maps {HOSTILE}",
        "preset": "demo",
        "generated": True,
        "seeds": 3,
        "seed_values": [0, 1, 2],
        "parameters": {"seeds": 3, "alpha": values[0] / 100, "runs_dir": str(folder)},
        "settings": {"classifier": {"epochs": 14, "lambda_ent": 0.02}},
        "key_numbers": [number("CAM, mIoU", values, thesis=48.0, place=place("CAM"))],
        "verdicts": [shown | claim | {"place": place("A > B")}],
        "tables": [
            {"name": "scores", "caption": f"Scores {HOSTILE}", "csv": "scores.csv", "beside": beside},
            {"name": "same", "caption": "The same", "csv": "same.csv", "beside": []},
        ],
        "figures": [text | {"name": each, "png": f"{each}.png"} for each in ("curve", "drawing")],
    }
    Record(**(found | changes)).write(exports / FILE)
    embedded = base64.b64encode(png(int(values[0]), (300, 200))).decode()
    (folder / f"{name}.html").write_text(
        f'<!DOCTYPE html><html lang="en"><body><nav><a href="index.html">all</a></nav><p><a href="#x">x</a> '
        f'<a href="notes.txt">notes</a></p><img alt="maps" width="150" src="data:image/png;base64,{embedded}">'
        f'<h2>Files</h2><ul class="files"><li>: <a href="{name}/scores.csv">CSV</a> <a href="{name}/scores.md">MD</a>'
        "</li></ul><script>let a = 1 < 2 && 3;</script></body></html>"
    )
    return exports


class Page:
    """Tags, text and links of a page."""

    def __init__(self, path: Path) -> None:
        soup = bs4.BeautifulSoup(path.read_text(), "html.parser")
        self.tags = [tag.name for tag in soup.find_all(True)]
        self.links = [str(link["href"]) for link in soup("a", href=True)]
        for script in soup(["style", "script"]):
            script.decompose()
        self.text = " ".join(soup.get_text(" ").split())


LEAD = place("Mixup-CAM > CAM") | {"source": "Table 2.1"}


def verdict(claim: str, values: list[float], where: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A verdict as a notebook records it."""
    found = number("", values, thesis=2.1, place=where)
    shown = {"claim": claim, "verdict": "holds", "difference": found["text"], "interval": found["interval"]}
    return {name: value for name, value in found.items() if name not in ("label", "text")} | shown | more
