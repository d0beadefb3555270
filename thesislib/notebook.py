"""What the cells of a notebook call: settings from its parameters, tables, figures, key numbers and verdicts.

Everything shown is also written at once: tables as CSV and LaTeX, figures as PNG and PDF, and all of it to
`results.json`, from which the index of reports is made.
"""

import base64
import io
import re
from collections.abc import Hashable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from thesislib import engine, records, settings, typeset
from thesislib import parameters as checks
from thesislib.data.voc import VocDataset
from thesislib.parameters import project_root
from thesislib.settings import Machine
from thesislib.stages import data as data_stage
from thesislib.store import Stage, Store

__all__ = ["Notebook", "project_root"]

VERDICTS = {"holds": ("✓", "#2b7a2b"), "opposite": ("✗", "#c1121f"), "undecided": ("?", "#8a6100")}
DPI = 192  # twice the pixels of a CSS inch: sharp on dense screens
THUMBNAIL = (480, 320)
DIRECTION_ONLY = "Generated data: direction only."


class Notebook:
    """One execution of a notebook: its checked parameters, and the records of what it shows.

    Args:
        name: the notebook's file name without `.ipynb`.
        namespace: its `globals()`. A plain literal in it that is not given as keyword here is refused.
        preset, seeds, overrides, data_root, runs_dir, reports_dir: the common parameters. Relative paths count from
            the project's root.
        profile: reading of the thesis, `released` when the notebook has no such parameter.
        own_settings: settings, by dotted name, that follow from the notebook's own parameters.
        data_note: what the data are; may be set later as `data_note`.
        own: the notebook's own parameters.

    Raises:
        SettingsError: an undeclared or ill-typed parameter, or a value outside its range.
    """

    def __init__(
        self,
        name: str,
        namespace: dict[str, Any],
        /,
        *,
        preset: Any,
        seeds: Any,
        overrides: Any,
        data_root: Any,
        runs_dir: Any,
        reports_dir: Any,
        profile: Any = None,
        own_settings: Mapping[str, Any] | None = None,
        data_note: str = "",
        **own: Any,
    ) -> None:
        common = (preset, seeds, overrides, data_root, runs_dir, reports_dir)
        self.parameters = dict(zip(checks.COMMON, common, strict=True)) | own
        if profile is not None:
            self.parameters["profile"] = profile
        checks.check_names(namespace, self.parameters)
        checks.check_types(namespace, own)
        self.seeds = checks.check_seeds(seeds)
        chosen = dict(own_settings or {}) | checks.check_overrides(overrides)
        self.settings = settings.load(preset, chosen, profile=profile or "released")
        self.data_root = checks.existing_folder(data_root)
        self.machine = Machine(data_root=str(self.data_root or ""))
        self.runs_dir = checks.folder("runs_dir", runs_dir)
        self.reports_dir = checks.folder("reports_dir", reports_dir)
        self.generated = self.data_root is None and self.settings.data.source == "generated"
        self.folder = self.reports_dir / preset / name
        self._record = records.new(name, preset, self.parameters)
        self._record |= {
            "seeds": seeds,
            "generated": self.generated,
            "data": data_note or self._default_data_note(),
            "changed_settings": checks.differences(self.settings, settings.load(preset)),
            "recipe": checks.differences(settings.load(preset), settings.load("voc2012")),
        }
        self._save()

    def run(self, stages: Mapping[Any, Stage]) -> dict[Any, Path]:
        """Compute what the store lacks of `stages`; returns the folder of each by the same name."""
        folders = engine.run(list(stages.values()), Store(self.runs_dir))
        return {name: folders[stage.key] for name, stage in stages.items()}

    def images(self, split: str) -> VocDataset:
        """A split of the data, generated first if it has to be."""
        folder = self.run({"data": data_stage.stage(self.settings, self.machine)})["data"]
        return VocDataset(self.data_root or folder / data_stage.FOLDER, split, cache=self.generated)

    @property
    def data_note(self) -> str:
        """What the data are, in words."""
        return self._record["data"]

    @data_note.setter
    def data_note(self, text: str) -> None:
        self._record["data"] = text
        self._save()

    def table(
        self,
        frame: pd.DataFrame,
        name: str,
        caption: str,
        *,
        best: Sequence[Hashable] = (),
        lowest: Sequence[Hashable] = (),
        within: Sequence[Any] | str | None = None,
        formats: Mapping[Any, typeset.Format] | None = None,
        note: str = "",
    ) -> None:
        """Show a table and write `<name>.csv` and `<name>.tex`; for the arguments see `typeset.lay_out`."""
        _check_name(name)
        layout = typeset.lay_out(frame, best=best, lowest=lowest, within=within, formats=formats)
        (self.folder / f"{name}.csv").write_text(typeset.to_csv(frame), encoding="utf-8")
        (self.folder / f"{name}.tex").write_text(typeset.to_latex(layout, caption, name), encoding="utf-8")
        files = {"csv": f"{name}.csv", "tex": f"{name}.tex"}
        self._add("tables", "name", {"name": name, "caption": caption, "note": note} | files)
        rows = [
            [*headings, *(f"{cell.text} {cell.interval}".strip() for cell in cells)] for headings, cells in layout.rows
        ]
        text = "\n".join([caption, "\t".join([*layout.corner, *layout.columns]), *("\t".join(row) for row in rows)])
        _show(typeset.to_html(layout, caption, note), text)

    def figure(self, fig: Figure, name: str, caption: str, alt: str) -> None:
        """Show a figure, write `<name>.png` and `<name>.pdf`, and close it.

        Args:
            fig: a Matplotlib figure.
            name: of the files.
            caption: what it is and what to look at.
            alt: what is to be seen, for readers who do not see it.

        Raises:
            ValueError: `alt` or `caption` is empty.
        """
        _check_name(name)
        if not alt.strip() or not caption.strip():
            raise ValueError(f"figure {name!r} needs a caption and an alt text that says what is to be seen")
        buffer = io.BytesIO()
        fig.patch.set_facecolor("white")
        fig.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pil_kwargs={"optimize": True})
        fig.savefig(self.folder / f"{name}.pdf", dpi=DPI, bbox_inches="tight", metadata={"CreationDate": None})
        plt.close(fig)
        (self.folder / f"{name}.png").write_bytes(buffer.getvalue())
        width, height = self._thumbnail(buffer, name)
        entry = {"name": name, "caption": caption, "alt": alt, "png": f"{name}.png", "pdf": f"{name}.pdf"}
        self._add("figures", "name", entry)
        source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        _show(
            f'<figure><img src="{source}" alt="{escape(alt)}" width="{width}" height="{height}" '
            f'style="max-width:100%;height:auto"><figcaption>{escape(caption)}</figcaption></figure>',
            f"Figure: {caption}\n{alt}",
        )

    def key_number(
        self,
        label: str,
        value: Any,
        thesis: float | int | None = None,
        note: str = "",
        *,
        format: str = ".1f",
        unit: str = "",
    ) -> None:
        """Show one number large, with its 95 % interval if it has one and the printed one of the thesis beside."""
        unit = unit.replace(" ", "\N{NO-BREAK SPACE}")
        text, interval = typeset.text_of(value, format)
        printed = "" if thesis is None else typeset.text_of(thesis, format)[0]
        entry = {"label": label, "text": text + unit, "thesis_text": printed + unit if printed else ""}
        entry |= {"interval": interval, "note": note, "thesis": thesis} | _numbers(value)
        self._add("key_numbers", "label", entry)
        aside = [f"95 % interval {interval}{_over(value)}"] if interval else []
        aside += [f"thesis, printed: {entry['thesis_text']}"] if printed else []
        aside += [note] if note else []
        _show(
            f'<div class="key-number"><span class="label">{escape(label)}</span> '
            f'<strong class="value" style="font-size:1.6em">{escape(entry["text"])}</strong> '
            f'<span class="aside">{escape(" · ".join(aside))}</span></div>',
            f"{label}: {entry['text']} {' · '.join(aside)}".strip(),
        )

    def verdict(self, claim: str, interval: Any, verdict: str, note: str = "", *, format: str = "+.1f") -> None:
        """Show what became of a claim: `holds`, `opposite` or `undecided`, with the interval it rests on."""
        if verdict not in VERDICTS:
            raise ValueError(f"verdict {verdict!r}: expected one of {', '.join(VERDICTS)}")
        difference, ends = typeset.text_of(interval, format) if interval is not None else ("", "")
        grounds = f"{difference} {ends}{_over(interval)}".strip()
        remarks = " ".join(text for text in (note, DIRECTION_ONLY if self.generated else "") if text)
        entry = {"claim": claim, "verdict": verdict, "difference": difference, "interval": ends, "note": note}
        self._add("verdicts", "claim", entry | _numbers(interval))
        symbol, colour = VERDICTS[verdict]
        _show(
            f'<div class="verdict"><span class="badge {verdict}" style="background:{colour};color:#fff;'
            f'padding:.1em .6em;border-radius:1em"><span aria-hidden="true">{symbol}</span> {verdict}</span> '
            f'<span class="claim">{escape(claim)}</span>'
            f'<div class="aside">{escape(" · ".join(text for text in (grounds, remarks) if text))}</div></div>',
            f"{verdict.upper()}: {claim} {grounds} {remarks}".strip(),
        )

    def note(self, text: str) -> None:
        """Show a remark that the results themselves call for."""
        self._add("notes", "text", {"text": text})
        _show(f'<p class="note">{escape(text)}</p>', text)

    def _add(self, kind: str, key: str, entry: records.Record) -> None:
        records.replace(self._record[kind], key, entry)
        self._save()

    def _save(self) -> None:
        records.write(self.folder / records.FILE, self._record)

    def _thumbnail(self, png: io.BytesIO, name: str) -> tuple[int, int]:
        """Make the first figure the thumbnail; returns the figure's size in CSS pixels."""
        with Image.open(png) as image:
            size = round(image.width / 2), round(image.height / 2)
            if not self._record["figures"] or self._record["figures"][0]["name"] == name:
                image.thumbnail(THUMBNAIL)
                image.convert("RGB").save(self.folder / "thumbnail.png", optimize=True)
                self._record["thumbnail"] = "thumbnail.png"
        return size

    def _default_data_note(self) -> str:
        if self.generated:
            data = self.settings.data
            return f"generated images ({data.trainaug} for training, {data.train} train, {data.val} val)"
        return f"images in {self.data_root}" if self.data_root else ""


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[\w-]+", name, re.ASCII):
        raise ValueError(f"name {name!r} of a table or figure: use letters, digits, - and _ only")


def _numbers(value: Any) -> dict[str, Any]:
    """The value or the ends of its interval as numbers, for `results.json`."""
    if typeset.is_interval(value):
        return {"value": value.mean, "low": value.low, "high": value.high, "n": getattr(value, "n", None)}
    return {"value": value}


def _over(value: Any) -> str:
    count = getattr(value, "n", None)
    return f" over {count} seeds" if count else ""


def _show(html: str, text: str) -> None:
    from IPython.display import display

    display({"text/html": html, "text/plain": text}, raw=True)
