"""A small sample of the fire, in seconds: mutations repeat, spoilt files are told from whole ones, tables are right."""

import random
from pathlib import Path

import numpy as np
import pytest

from companion.pipeline.store import Stage, Store
from fire import inputs, kills, malformed, mutations, report
from fire.outcomes import BENIGN, FAULT, HELD, Outcome, go_through


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = inputs.make(tmp_path_factory.mktemp("fire") / "inputs")
    (folder / "out").mkdir()
    return folder


@pytest.mark.parametrize("target", malformed.FILES, ids=lambda target: f"{target.kind} {target.command.split()[0]}")
def test_every_input_is_whole_before_it_is_spoilt_and_not_when_it_is_empty(
    target: malformed.Target, whole: Path, tmp_path: Path
) -> None:
    file = tmp_path / Path(target.file).name
    file.write_bytes((whole / target.file).read_bytes())
    if file.suffix != ".params":
        assert target.whole(file)
    file.write_bytes(b"")
    if target.kind != "CSV":
        with pytest.raises(Exception):  # noqa: B017 - each reader its own
            assert target.whole(file)


@pytest.mark.parametrize(
    "mutate", dict.fromkeys([*mutations.BYTES, *mutations.TEXT]), ids=lambda mutate: mutate.__name__
)
def test_mutations_are_repeated_by_their_number(mutate: mutations.Mutation) -> None:
    content = b"".join(b"line %d of some\n" % i for i in range(9))
    assert mutate(random.Random(3), content) == mutate(random.Random(3), content)


@pytest.mark.parametrize("number", range(5))
def test_malformed_files_are_refused(number: int, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from companion.cli.main import main

    target = malformed.FILES[(0, 2, 4, 8, 15)[number]]
    file, arguments = whole / target.file, target.command.replace("{}", str(whole)).split()
    content = file.read_bytes()
    try:
        file.write_bytes(mutations.web_page(random.Random(0), content))
        status = main(arguments)
    finally:
        file.write_bytes(content)
    said = "".join(capsys.readouterr())
    assert malformed.judge(status, said, [], [file.name, file.stem]) == []


@pytest.mark.parametrize(
    ("status", "said", "written", "expected"),
    [
        (2, "thesis: cannot read a.png: copy it again", [], []),
        (0, "all sound", [], ["accepted"]),
        (None, "", [], [f"no end within {malformed.PATIENCE} s"]),
        (1, "Traceback: a.png, copy it again", [], ["a traceback"]),
        (2, "thesis: it is wrong", ["out/part"], ["does not name a.png", "no remedy", "wrote out/part"]),
    ],
)
def test_what_counts_as_a_clear_error(status: int, said: str, written: list[str], expected: list[str]) -> None:
    assert malformed.judge(status, said, written, ["a.png"]) == expected


def test_an_artefact_with_other_bits_or_more_files_is_found(tmp_path: Path) -> None:
    a, b, store = tmp_path / "a", tmp_path / "b", Store(tmp_path)
    for folder in (a, b):
        folder.mkdir()
        np.save(folder / "same.npy", np.arange(3))
        (folder / "provenance.json").write_text(folder.name)
    assert kills.differences(a, b) == []
    (a / "x").write_text("1")
    (b / "x").write_text("2")
    (b / "y.writing").write_text("")
    assert kills.differences(a, b) == ["x differs", "y.writing is left"]
    assert kills.differences(a, tmp_path / "c") == ["the artefact is lost"]
    assert kills.left(store, Stage("b", 1, print, {})) == ["y.writing was left"]


def test_cases_that_are_done_are_not_run_again_and_the_tables_count_them(tmp_path: Path) -> None:
    def one(case: int) -> Outcome:
        return Outcome("malformed", case, "image, cut: thesis data", (HELD, FAULT, BENIGN)[case], "seen" * case)

    file, page = tmp_path / "malformed.jsonl", tmp_path / "fire.md"
    go_through(file, [0, 1], one)
    found = go_through(file, [0, 1, 2], one)
    assert [outcome.case for outcome in found] == [0, 1, 2]
    page.write_text(f"Before.\n{report.BEGIN}\nold\n{report.END}\nAfter.\n")
    report.write(found, page)
    text = page.read_text()
    assert text.startswith("Before.") and text.endswith("After.\n") and "old" not in text
    assert "| malformed | 0-2 | 2 | 1 | 1 | 1 | 0 |" in text
    assert "| malformed | image | 2 | 1 | 1 | 1 | 0 |" in text
    assert "| malformed | 1 | image, cut: thesis data | seen |" in text
