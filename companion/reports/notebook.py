"""What the cells of a notebook call: settings from its parameters, tables, figures, key numbers and verdicts.

Everything shown is also written at once: tables as CSV, LaTeX and Markdown, figures as PNG and PDF, and all of it to
`results.json`, from which the site of reports is made.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from companion.analysis import forward
from companion.analysis.claims import Verdict, tests_in_words
from companion.analysis.statistics import VERDICTS
from companion.datasets.published import MARK, LeftOut
from companion.experiments import parameters as checks
from companion.experiments.catalogue import asked, kind_of
from companion.experiments.exhibits import Exhibits, Figure, KeyNumber, Note, Table
from companion.experiments.experiment import CHOOSE_ROWS, Experiment, Measure
from companion.pipeline import artefacts, engine
from companion.pipeline.published import ContinuedStore, open_store
from companion.pipeline.store import Stage
from companion.reports import again, cells, continued, kept, printed_beside, table_files, typeset
from companion.reports.record import (
    FILE,
    Artefact,
    FigureEntry,
    NoteEntry,
    NumberEntry,
    Record,
    Shown,
    TableEntry,
    VerdictEntry,
)
from companion.settings import load
from companion.settings.project import notebook_file
from thesislib.models.published import network_name

THUMBNAIL = "thumbnail.png"
DIRECTION_ONLY = "Generated data: direction only."
CHOSEN = (
    "Rows by choice ({}): {}. Others that the text speaks of were not asked here; their claims count in the correction."
)
VARIANT = "Variant: {} stands in for the thesis' ResNet-38. Printed numbers are those of another network."


class Notebook:
    """One execution of a notebook: its checked parameters, its experiment, and the record of what it shows.

    Args:
        name: the notebook's file name without `.ipynb`; its parameters cell says which parameters there are.
        namespace: its `globals()`, which hold their values. Any other plain literal in it is refused.
        kind: what it asks, for a notebook of your own; one of the project is in the catalogue.

    Attributes:
        experiment: what the notebook asks; it computes what it needs through this notebook.

    Raises:
        SettingsError: an undeclared or ill-typed parameter, or a value outside its range.
    """

    def __init__(self, name: str, namespace: dict[str, Any], kind: type[Experiment] | None = None) -> None:
        declared = checks.declared(notebook_file(name))
        checks.check_names(namespace, declared)
        self.parameters = {each: namespace[each] for each in declared}
        snapshot = self.parameters.get("published_dir")
        self.store = open_store(
            checks.folder("runs_dir", self.parameters["runs_dir"]),
            checks.folder("published_dir", snapshot) if snapshot else None,
        )
        reports_dir = checks.folder("reports_dir", self.parameters["reports_dir"])
        self.experiment: Any = asked(
            kind or kind_of(name), declared, self.parameters, self.run, self.keep, self.store.crf
        )
        self.settings, self.seeds = self.experiment.settings, self.experiment.seeds
        self.folder = reports_dir / self.settings.preset / name
        self._record = self._new_record(name)
        self._described = self._bound = self._data_noted = False
        self._kept: dict[str, Sequence[np.ndarray]] = {}
        self._lender = self.store.published if isinstance(self.store, ContinuedStore) else self.store
        self._published = kept.published(self._lender.root, name)
        self._repeats = [*again.read(self.folder.parent), *(again.read(self._lender.root.parent) if snapshot else ())]
        self._record.write(self.folder / FILE)
        if self.store.remark:
            self.show(Note(self.store.remark))
        if self.settings.backbone.network != "resnet38":
            self.show(Note(VARIANT.format(network_name(self.settings.backbone.network))))
        for parameter in CHOOSE_ROWS:
            if rows := self.parameters.get(parameter):
                self.show(Note(CHOSEN.format(parameter, ", ".join(map(str, rows)))))

    def _new_record(self, name: str) -> Record:
        """With what the notebook runs, and where its settings differ: from the preset, and the preset from others."""
        settings, machine = self.settings, self.experiment.machine
        preset, profile = settings.preset, settings.profile
        here, scale = load(preset, profile=profile), load("voc2012", profile=profile)
        released, text = load("voc2012"), load("voc2012", profile="text")
        return Record.start(name, preset, self.parameters).model_copy(
            update={
                "machine": machine.model_dump(mode="json", exclude={"data_root"}),
                "seeds": len(self.seeds),
                "seed_values": list(self.seeds),
                "settings": settings.model_dump(mode="json"),
                "generated": self.generated,
                "data": self._default_data_note(),
                "network": forward.describe(settings).replace("\n", ", "),
                "profile": profile,
                "changed_settings": checks.differences(settings, here),
                "recipe": checks.differences(here, scale),
                "profiles": checks.differences(released, text),
            }
        )

    @property
    def generated(self) -> bool:
        """Whether the images are generated."""
        return self.experiment.generated

    def show(self, *exhibits: Exhibits) -> None:
        """Show tables, figures, numbers, verdicts and remarks, and write their files and the record.

        What cannot be shown because something it draws from is not published is said once, in its place.
        """
        self._record.check_alone(self.folder / FILE)
        missing: dict[str, None] = {}
        for exhibit in exhibits:
            self._exhibit(exhibit, missing)
        for text in missing:
            self._note(text)
        if exhibits and not self._described:
            self._described = True
            self._record.data = self.experiment.data_note or self._record.data
            self._save()

    def _exhibit(self, exhibit: Exhibits, missing: dict[str, None]) -> None:
        try:
            match exhibit:
                case None:
                    pass
                case Table():
                    self._table(exhibit)
                case Figure():
                    self._figure(exhibit)
                case KeyNumber():
                    self._key_number(exhibit)
                case Verdict():
                    self._verdict(exhibit)
                case Note():
                    self._note(exhibit.text)
                case Callable():
                    self._exhibit(exhibit(), missing)
                case Iterable():
                    for each in exhibit:
                        self._exhibit(each, missing)
                case _:
                    _display(exhibit)  # a widget
        except LeftOut as left_out:
            missing[str(left_out)] = None

    def run(self, stages: Mapping[Any, Stage]) -> dict[Any, Path]:
        """Compute what the store lacks of `stages`; returns the folder of each by the same name."""
        if not self._bound:  # all that the notebook will need: bad files are found before anything is computed
            planned = self.experiment.stages()
            self.store.expect(planned)
            engine.bind(planned)
            self._bound = True
            if isinstance(self.store, ContinuedStore):
                engine.run(planned, self.store)  # all at once: some that are published are computed to build on them
                self._note(continued.in_words(self.store, planned))
        store = self.store
        store.expect(stages.values())
        folders = engine.run(list(stages.values()), store)
        for stage in engine.in_order(stages.values()):
            if store.place(stage).is_dir():
                origin = store.provenance(stage)
                self._record.artefacts[f"{stage.name}/{stage.key}"] = Artefact(
                    label=stage.label, commit=origin["commit"], precision=origin.get("precision")
                )
            if stage.name == "data" and not self._data_noted:
                self._data_noted = True
                for note in artefacts.dataset_notes(store.place(stage)):
                    self._note(f"Data: {note}.")
        if mixed := self._record.mixed_precision():
            self._note(mixed)
        self._save()
        return {name: folders[stage.key] for name, stage in stages.items()}

    def keep(self, name: str, folders: Sequence[Path], measure: Measure) -> list[Sequence[np.ndarray]]:
        """Measure something on folders of artefacts, and keep it beside the record; of published ones it is known."""
        names = {folder: kept.entry(name, folder) for folder in folders}
        found = {folder: self._published[entry] for folder, entry in names.items() if self._is_published(folder, entry)}
        todo = [folder for folder in names if folder not in found]
        if todo:
            measured = zip(todo, measure(todo), strict=True)
            found |= {folder: [np.asarray(each) for each in arrays] for folder, arrays in measured}
        self._kept |= {entry: found[folder] for folder, entry in names.items()}
        kept.write(self.folder / kept.FILE, self._kept)
        return [found[folder] for folder in folders]

    def _is_published(self, folder: Path, entry: str) -> bool:
        return entry in self._published and folder.is_relative_to(self._lender.root)

    def _table(self, table: Table) -> None:
        """Show a table and write `<name>.csv`, `<name>.tex` and `<name>.md`.

        Raises:
            ValueError: a column that does not exist, or a name that is no file name.
        """
        _check_name(table.name)
        layout = typeset.lay_out(
            table.frame, best=table.best, lowest=table.lowest, within=table.within, formats=table.formats
        )
        files = {
            "csv": table_files.to_csv(table.frame),
            "tex": table_files.to_latex(layout, table.caption, table.name),
            "md": table_files.to_markdown(layout, table.caption, table.note),
        }
        for kind, content in files.items():
            (self.folder / f"{table.name}.{kind}").write_text(content, encoding="utf-8")
        beside = printed_beside.of_table(table.frame, layout, table.beside)
        named = {kind: f"{table.name}.{kind}" for kind in files}
        self._add(TableEntry(name=table.name, caption=table.caption, note=table.note, beside=beside, **named))
        _show(typeset.to_html(layout, table.caption, table.note), typeset.to_text(layout, table.caption))

    def _figure(self, figure: Figure) -> None:
        """Show a figure, write `<name>.png` and `<name>.pdf`, and close it.

        Raises:
            ValueError: caption or alternative text is empty.
        """
        name, caption, alt = figure.name, figure.caption, figure.alt
        _check_name(name)
        if not alt.strip() or not caption.strip():
            raise ValueError(f"figure {name!r} needs a caption and an alt text that says what is to be seen")
        png = cells.save_figure(figure.drawing, self.folder, name)
        if not self._record.figures or self._record.figures[0].name == name:
            cells.save_thumbnail(png, self.folder / THUMBNAIL)
            self._record.thumbnail = THUMBNAIL
        self._add(FigureEntry(name=name, caption=caption, alt=alt, png=f"{name}.png", pdf=f"{name}.pdf"))
        _show(cells.figure(png, caption, alt), f"Figure: {caption}\n{alt}")

    def _key_number(self, number: KeyNumber) -> None:
        """Show one number large, with its 95 % interval if it has one and the printed one of the thesis beside."""
        unit = number.unit.replace(" ", "\N{NO-BREAK SPACE}")
        text, interval = typeset.text_of(number.value, number.format)
        printed = "" if number.thesis is None else typeset.text_of(number.thesis, number.format)[0] + unit
        entry = NumberEntry(
            label=number.label,
            text=text + unit,
            thesis_text=printed,
            interval=interval,
            note=number.note,
            thesis=number.thesis,
            place=printed_beside.named(number.place, number.label),
            **printed_beside.numbers(number.value),
        )
        self._add(entry)
        aside = [f"95 % interval {interval}{_over(number.value)}"] if interval else []
        aside += [f"thesis, printed: {printed}"] if printed else []
        said = " · ".join([*aside, number.note] if number.note else aside)
        _show(cells.key_number(entry, said), f"{number.label}: {entry.text} {said}".strip())

    def _verdict(self, judged: Verdict) -> None:
        """Show what became of a claim, with the interval it rests on."""
        claim, found = judged.claim, judged.verdict
        if found not in VERDICTS:
            raise ValueError(f"verdict {found!r}: expected one of {', '.join(VERDICTS)}")
        if judged.p is not None and judged.adjusted is None and not judged.primary:
            raise ValueError(f"{claim!r} is secondary and was not corrected with its family: `families.corrected`")
        difference, ends = ("", "") if judged.difference is None else typeset.text_of(judged.difference, judged.format)
        grounds = f"{difference} {ends}{_over(judged.difference)}".strip() + (" (95 % t interval)" if ends else "")
        entry = VerdictEntry(
            claim=claim,
            verdict=found,
            difference=difference,
            interval=ends,
            note=judged.note,
            thesis=judged.thesis,
            place=printed_beside.named(judged.place, claim),
            primary=judged.primary,
            p=judged.p,
            adjusted=judged.adjusted,
            power=judged.power,
            seeds=judged.seeds,
            sought=judged.sought,
            **printed_beside.numbers(judged.difference),
        )
        self._add(entry)
        repeats = again.of(self._repeats, self._record.notebook, entry)
        generated = DIRECTION_ONLY if self.generated else ""
        remarks = " ".join(text for text in (judged.note, *dict.fromkeys(map(str, repeats)), generated) if text)
        kind = "primary claim" if judged.primary else ""
        said = " · ".join(text for text in (kind, grounds, tests_in_words(judged), remarks) if text)
        shown = again.shown(entry, repeats)
        _show(cells.verdict(shown, said), f"{shown.verdict.upper()}: {claim} {said}".strip())

    def _note(self, text: str) -> None:
        """Show a remark."""
        self._add(NoteEntry(text=text))
        _show(f'<p class="note">{escape(text)}</p>', text)

    def _add(self, entry: Shown) -> None:
        self._record.add(entry)
        self._save()

    def _save(self) -> None:
        """Write the record, unless another execution has begun to write there: their pages would mix."""
        self._record.check_alone(self.folder / FILE)
        self._record.write(self.folder / FILE)

    def _default_data_note(self) -> str:
        if self.generated:
            data = self.settings.data
            return f"generated images ({data.trainaug} for training, {data.train} train, {data.val} val)"
        if not self.parameters["data_root"]:
            return ""
        root = Path(self.parameters["data_root"])
        published = any((folder / MARK).is_file() for folder in root.parents)
        return "images that are not published" if published else f"images in {root}"


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[\w-]+", name, re.ASCII):
        raise ValueError(f"name {name!r} of a table or figure: use letters, digits, - and _ only")


def _over(value: Any) -> str:
    count = getattr(value, "n", None)
    return f" over {count} {'seed' if count == 1 else 'seeds'}" if count else ""


def _show(html: str, text: str) -> None:
    _display({"text/html": html, "text/plain": text}, raw=True)


def _display(shown: Any, **options: bool) -> None:
    from IPython.display import display

    display(shown, **options)
