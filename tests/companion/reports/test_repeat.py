"""The repeat test: verdicts of two folders of records made by hand."""

from pathlib import Path

import pytest

from companion.analysis.claims import Place
from companion.cli import main as cli
from companion.reports import again, repeat, site
from companion.reports.again import Again
from companion.reports.record import FILE, Record, VerdictEntry


def write(folder: Path, verdicts: dict[str, str], notebook: str = "21_maps", **more: object) -> Path:
    """A record with a verdict a claim."""
    entries = [
        {"claim": claim, "verdict": found, "difference": "+1.0", "interval": "[+0.5, +1.5]", "values": [1.0, i, 2.0]}
        for i, (claim, found) in enumerate(verdicts.items())
    ]
    Record(notebook=notebook, state="done", verdicts=entries, **more).write(folder / notebook / FILE)
    return folder


A = {"one": "holds", "two": "opposite", "three": "undecided", "four": "holds", "five": "undecided", "gone": "holds"}
B = {"one": "holds", "two": "opposite", "three": "holds", "four": "undecided", "five": "undecided", "new": "holds"}


def test_decided_verdicts_that_stay_are_counted_from_both_sides(tmp_path: Path) -> None:
    found = repeat.compare(write(tmp_path / "a", A), write(tmp_path / "b", B))
    fates = {pair.claim: pair.fate for pair in found.pairs}
    assert fates == {"one": "stays", "two": "stays", "three": "changed", "four": "changed", "five": "undecided"}
    assert found.in_words() == (
        "Of 5 verdicts in both: 2 of 3 decided in A (67%) and 2 of 3 decided in B (67%) stay; 0 turned round."
    )


def test_one_measurement_in_two_notebooks_is_one_verdict(tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        write(folder, {"one": "holds"})
        write(folder, {"one": "holds"}, "23_masks")
    (pair,) = repeat.compare(tmp_path / "a", tmp_path / "b").pairs
    assert pair.notebooks == ("21_maps", "23_masks")


def test_a_verdict_that_turned_round_fails_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write(tmp_path / "a", A, seed_values=[0, 1, 2], seeds=3, settings={"data": {"data_seed": 0}})
    b = write(tmp_path / "b" / "scores" / "reports", B | {"two": "holds"}, seed_values=[3, 4, 5], seeds=3)
    command = ["compare", "--repeat", str(a)]
    assert cli.main([*command, str(tmp_path / "b"), "--output", str(a / repeat.PAGE)]) == 1
    assert "1 turned round." in capsys.readouterr().out
    page = (a / repeat.PAGE).read_text()
    assert "Turned round: 1" in page and "Decided in one run alone: 2" in page and "seeds 3-5" in page
    assert cli.main([*command, str(write(tmp_path / "c", A)), "--output", str(tmp_path / "c.html")]) == 0
    assert b.is_dir()


def test_index_links_every_repeat_by_its_name(tmp_path: Path) -> None:
    for name in ("repeat.html", "repeat_other_instructions.html"):
        (write(tmp_path / "demo", A) / name).write_text("<p>a table</p>")
    index = site.write_index(tmp_path / "demo").read_text()
    assert '<a href="repeat.html">other seeds</a>' in index
    assert '<a href="repeat_other_instructions.html">other instructions</a>' in index


def test_what_cannot_be_compared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, other = write(tmp_path / "a", {"one": "holds"}), write(tmp_path / "b", {"two": "holds"})
    empty = tmp_path / "empty"
    for arguments, message in (
        ([a, empty], "expected a folder of reports"),
        ([a, other], "have no verdict in common"),
        ([a, a, "--output", tmp_path / "none" / "page.html"], "expected an .html file in a folder that exists"),
    ):
        assert cli.main(["compare", "--repeat", *map(str, arguments)]) == 2
        assert message in capsys.readouterr().err


def test_what_was_repeated_is_said_of_the_verdicts_of_these_values_alone(tmp_path: Path) -> None:
    a = write(tmp_path / "a", A, seed_values=[0, 1, 2])
    b = write(tmp_path / "b", B, seed_values=[3, 4, 5])
    repeat.write(repeat.compare(a, b), a / "repeat_once_more.html")
    repeated = again.read(a)
    assert {each.claim for each in repeated} == {"one", "two", "three", "four", "five"}
    record = Record.read(a / "21_maps" / FILE)
    (four,) = again.of(repeated, "21_maps", next(entry for entry in record.verdicts if entry.claim == "four"))
    # the mean of 1, 3, 2 and 1, 3, 2 is 2, its deviation .894, so half the interval is 2.571 x .894 / sqrt(6)
    assert str(four) == "Again with seeds 3-5 undecided, +1.0 [+0.5, +1.5]; over all 6 seeds +2.0 [+1.1, +2.9]."
    other = record.verdicts[0].model_copy(update={"values": [1.0, 0.5, 2.0]})
    assert again.of(repeated, "21_maps", other) == again.of(repeated, "23_masks", record.verdicts[0]) == []


def test_index_says_of_a_primary_claim_what_became_of_it_again(tmp_path: Path) -> None:
    a = write(tmp_path / "a", {"one": "holds"}, seed_values=[0, 1, 2])
    record = Record.read(a / "21_maps" / FILE)
    entry = record.verdicts[0].model_copy(update={"primary": True, "n": 3, "low": 0.5, "high": 1.5, "p": 0.01})
    record.model_copy(update={"verdicts": [entry]}).write(a / "21_maps" / FILE)
    b = write(tmp_path / "b", {"one": "undecided"}, seed_values=[3, 4, 5])
    assert "Again" not in site.write_index(a).read_text()
    repeat.write(repeat.compare(a, b), a / repeat.PAGE)
    index = site.write_index(a).read_text()
    assert "Again +1.0, all 6 seeds +1.0" in index and "</span> holds</span>" in index
    second = Record.read(b / "21_maps" / FILE)
    other = second.verdicts[0].model_copy(update={"values": [-4.0, 0.0, 1.0]})
    second.model_copy(update={"verdicts": [other]}).write(b / "21_maps" / FILE)
    repeat.write(repeat.compare(a, b), a / repeat.PAGE)
    index = site.write_index(a).read_text()
    assert "Not repeated: +1.0, all 6 seeds" in index and "</span> holds</span>" not in index


def test_runs_that_share_a_seed_are_no_new_draw(tmp_path: Path) -> None:
    a = write(tmp_path / "a", A, seed_values=[0, 1, 2])
    repeat.write(repeat.compare(a, write(tmp_path / "b", B, seed_values=[2, 3, 4])), a / repeat.PAGE)
    assert again.read(a) == []


def test_a_measurement_in_other_words_in_a_second_notebook_is_said_there_too(tmp_path: Path) -> None:
    place = Place("Table 3.1", "val", "response maps", row="SC-CAM > CAM")
    for folder, seeds in ((tmp_path / "a", [0, 1, 2]), (tmp_path / "b", [3, 4, 5])):
        for notebook, claim in (("31_maps", "one"), ("33_rounds", "other words")):
            record = Record.read(write(folder, {claim: "holds"}, notebook, seed_values=seeds) / notebook / FILE)
            entry = record.verdicts[0].model_copy(update={"place": place})
            record.model_copy(update={"verdicts": [entry]}).write(folder / notebook / FILE)
    repeat.write(repeat.compare(tmp_path / "a", tmp_path / "b"), tmp_path / "a" / repeat.PAGE)
    repeated = again.read(tmp_path / "a")
    (entry,) = Record.read(tmp_path / "a" / "33_rounds" / FILE).verdicts
    assert len(repeated) == 1 and again.of(repeated, "33_rounds", entry) == repeated
    assert not again.of(repeated, "33_rounds", entry.model_copy(update={"place": None}))


def test_two_values_of_a_grid_have_no_mean_and_no_difference_has_no_sign_to_lose() -> None:
    def of(values: list[float], **more: object) -> VerdictEntry:
        low, high = (1.0, 3.0) if values[0] > 0 else (-1.0, 1.0)
        given = {"claim": "one", "verdict": "holds", "difference": "+1.0", "values": values, "low": low, "high": high}
        return VerdictEntry.model_validate(given | more)

    def again_of(one: dict[str, object], other: dict[str, object]) -> Again | None:
        entries = of([1.0, 2.0, 3.0], **one), of([-4.0, 0.0, 1.0], **other)
        return again.of_pair(["22_maps"], entries, ([0, 1, 2], [3, 4, 5]))

    same, grid = {"p": 0.01, "note": "Shown: 0.2, surely below"}, {"p": 0.01, "note": "Shown: 0.8, surely below"}
    found = [again_of(same, same), again_of(same, grid), again_of({}, {})]
    assert [each and each.repeated for each in found] == [False, True, True]
    assert found[1] and "over all" not in str(found[1]) and "all" not in found[1].short
