"""What the cells of a notebook call: settings from its parameters, tables, figures, key numbers and verdicts.

Everything shown is also written at once: tables as CSV, LaTeX and Markdown, figures as PNG and PDF, and all of it to
`results.json`, from which the site of reports is made.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from thesislib import against, cells, engine, quickstart, records, settings, table_files, typeset
from thesislib import parameters as checks
from thesislib.against import Beside, Place
from thesislib.data.voc import VocDataset
from thesislib.models.registry import NETWORKS
from thesislib.parameters import project_root
from thesislib.settings import Machine
from thesislib.stages import data as data_stage
from thesislib.statistics import VERDICTS
from thesislib.store import Stage, Store

__all__ = ["Notebook", "project_root"]

THUMBNAIL = "thumbnail.png"
DIRECTION_ONLY = "Generated data: direction only."
VARIANT = "Variant: {} stands in for the thesis' ResNet-38. Printed numbers are those of another network."


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
        checks.check_values(own)
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
            "machine": self.machine.model_dump(mode="json", exclude={"data_root"}),
            "seeds": seeds,
            "seed_values": self.seeds,
            "settings": self.settings.model_dump(mode="json"),
            "generated": self.generated,
            "data": data_note or self._default_data_note(),
            "network": quickstart.describe(self.settings).replace("\n", ", "),
        }
        self._record |= self._differences(preset)
        self._save()
        if self.settings.backbone.network != "resnet38":
            self.note(VARIANT.format(NETWORKS[self.settings.backbone.network]))

    def _differences(self, preset: str) -> records.Record:
        """Where settings differ: from the preset, the preset from paper scale, and the two profiles there."""
        profile = self.settings.profile
        here, scale = settings.load(preset, profile=profile), settings.load("voc2012", profile=profile)
        released, text = settings.load("voc2012"), settings.load("voc2012", profile="text")
        return {
            "profile": profile,
            "changed_settings": checks.differences(self.settings, here),
            "recipe": checks.differences(here, scale),
            "profiles": checks.differences(released, text),
        }

    def run(self, stages: Mapping[Any, Stage]) -> dict[Any, Path]:
        """Compute what the store lacks of `stages`; returns the folder of each by the same name."""
        store = Store(self.runs_dir)
        folders = engine.run(list(stages.values()), store)
        for stage in engine.in_order(stages.values()):
            if store.has(stage):
                origin = store.provenance(stage)
                entry = {"label": stage.label, "commit": origin["commit"], "precision": origin.get("precision")}
                self._record["artefacts"][f"{stage.name}/{stage.key}"] = entry
        if mixed := records.mixed_precision(self._record):
            self.note(mixed)
        self._save()
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
        beside: Beside | None = None,
    ) -> None:
        """Show a table and write `<name>.csv`, `<name>.tex` and `<name>.md`.

        Args:
            frame, best, lowest, within, formats: see `typeset.lay_out`.
            name: of the files.
            caption: what the numbers are, of which images, at which stage, over how many seeds.
            note: shown below.
            beside: which columns stand beside printed values of the thesis, for the page that collects them.

        Raises:
            ValueError: a column that does not exist, or a name that is no file name.
        """
        _check_name(name)
        layout = typeset.lay_out(frame, best=best, lowest=lowest, within=within, formats=formats)
        files = {
            "csv": table_files.to_csv(frame),
            "tex": table_files.to_latex(layout, caption, name),
            "md": table_files.to_markdown(layout, caption, note),
        }
        for kind, content in files.items():
            (self.folder / f"{name}.{kind}").write_text(content, encoding="utf-8")
        entry = {"name": name, "caption": caption, "note": note} | {kind: f"{name}.{kind}" for kind in files}
        self._add("tables", "name", entry | {"beside": against.of_table(frame, layout, beside or {})})
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
        png = cells.save_figure(fig, self.folder, name)
        if not self._record["figures"] or self._record["figures"][0]["name"] == name:
            cells.save_thumbnail(png, self.folder / THUMBNAIL)
            self._record["thumbnail"] = THUMBNAIL
        entry = {"name": name, "caption": caption, "alt": alt, "png": f"{name}.png", "pdf": f"{name}.pdf"}
        self._add("figures", "name", entry)
        _show(cells.figure(png, caption, alt), f"Figure: {caption}\n{alt}")

    def key_number(
        self,
        label: str,
        value: Any,
        thesis: float | int | None = None,
        note: str = "",
        *,
        format: str = ".1f",
        unit: str = "",
        place: Place | None = None,
    ) -> None:
        """Show one number large, with its 95 % interval if it has one and the printed one of the thesis beside.

        Args:
            label: what it is.
            value: a number, or a mean with its interval.
            thesis: what the thesis prints.
            note: shown beside.
            format, unit: how it is shown.
            place: where the thesis prints it.
        """
        unit = unit.replace(" ", "\N{NO-BREAK SPACE}")
        text, interval = typeset.text_of(value, format)
        printed = "" if thesis is None else typeset.text_of(thesis, format)[0]
        entry: records.Record = {"label": label, "text": text + unit, "thesis_text": printed + unit if printed else ""}
        entry |= {"interval": interval, "note": note, "thesis": thesis} | against.numbers(value)
        entry["place"] = against.of_key_number(label, place) if place else None
        self._add("key_numbers", "label", entry)
        aside = [f"95 % interval {interval}{_over(value)}"] if interval else []
        aside += [f"thesis, printed: {entry['thesis_text']}"] if printed else []
        said = " · ".join([*aside, note] if note else aside)
        _show(cells.key_number(entry, said), f"{label}: {entry['text']} {said}".strip())

    def verdict(
        self,
        claim: str,
        interval: Any,
        verdict: str,
        note: str = "",
        *,
        format: str = "+.1f",
        thesis: float | None = None,
        place: Place | None = None,
    ) -> None:
        """Show what became of a claim: `holds`, `opposite` or `undecided`, with the interval it rests on.

        Args:
            claim: in words.
            interval: the difference that it speaks of, over seeds.
            verdict: from `statistics.verdict` or `statistics.equivalence`.
            note: shown beside.
            format: of the difference.
            thesis: the difference that the thesis prints, which `note` says in words.
            place: where the thesis prints it.
        """
        if verdict not in VERDICTS:
            raise ValueError(f"verdict {verdict!r}: expected one of {', '.join(VERDICTS)}")
        difference, ends = typeset.text_of(interval, format) if interval is not None else ("", "")
        grounds = f"{difference} {ends}{_over(interval)}".strip() + (" (95 % t interval)" if ends else "")
        remarks = " ".join(text for text in (note, DIRECTION_ONLY if self.generated else "") if text)
        entry: records.Record = {
            "claim": claim,
            "verdict": verdict,
            "difference": difference,
            "interval": ends,
            "note": note,
        }
        entry |= {"thesis": thesis, "place": against.of_key_number(claim, place) if place else None}
        self._add("verdicts", "claim", entry | against.numbers(interval))
        said = " · ".join(text for text in (grounds, remarks) if text)
        _show(cells.verdict(entry, said), f"{verdict.upper()}: {claim} {grounds} {remarks}".strip())

    def note(self, text: str) -> None:
        """Show a remark that the results themselves call for."""
        self._add("notes", "text", {"text": text})
        _show(f'<p class="note">{escape(text)}</p>', text)

    def _add(self, kind: str, key: str, entry: records.Record) -> None:
        records.replace(self._record[kind], key, entry)
        self._save()

    def _save(self) -> None:
        records.write(self.folder / records.FILE, self._record)

    def _default_data_note(self) -> str:
        if self.generated:
            data = self.settings.data
            return f"generated images ({data.trainaug} for training, {data.train} train, {data.val} val)"
        return f"images in {self.data_root}" if self.data_root else ""


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[\w-]+", name, re.ASCII):
        raise ValueError(f"name {name!r} of a table or figure: use letters, digits, - and _ only")


def _over(value: Any) -> str:
    count = getattr(value, "n", None)
    return f" over {count} seeds" if count else ""


def _show(html: str, text: str) -> None:
    from IPython.display import display

    display({"text/html": html, "text/plain": text}, raw=True)
