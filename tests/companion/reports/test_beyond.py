"""The page "Beyond the thesis", made from records written by hand."""

from pathlib import Path

import bs4
import pytest
from made_reports import A, B, place, verdict, write_report

from companion.analysis import maps
from companion.reports import found
from companion.reports import site as site_pages


@pytest.fixture(autouse=True)
def nothing_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even by the project itself."""
    monkeypatch.setattr(found, "PUBLISHED", tmp_path / "nothing")


def cells(line: bs4.Tag) -> list[str]:
    return [" ".join(cell.get_text(" ").split()) for cell in line("td")]


def tables_of(page: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The cells of each experiment by its title, and those of each other claim that was decided."""
    first, decided = bs4.BeautifulSoup(page.read_text(), "html.parser")("table", class_="found")
    lines = [line for line in decided("tr") if line("td")]
    by_title = {line.th.next_element.text.strip(): cells(line) for line in first.tbody("tr")}
    return by_title, {" ".join(line.th.get_text(" ").split()): cells(line) for line in lines}


def test_every_experiment_has_a_line_and_what_else_is_decided_stands_below(tmp_path: Path) -> None:
    first = verdict(f"both > CAM, {maps.PRIMARY_IN_WORDS}", A, place("a"), verdict="undecided", primary=True)
    open_ones = [verdict(f"open {i}", A, place(f"{i}"), verdict="undecided") for i in range(2)]
    decided = verdict("clusters > random", A, place("b"), verdict="opposite")
    write_report(tmp_path / "demo", "41_both_methods", verdicts=[first, *open_ones, decided])
    write_report(tmp_path / "animals", "41_both_methods", B, verdicts=[first, verdict("open 0", B, place("0"))])
    page = site_pages.write_index(tmp_path / "demo").with_name("beyond.html")
    by_title, others = tables_of(page)
    photographs, generated = by_title["Both methods together: do mixup and sub-categories add up?"]
    assert photographs.startswith("? undecided 49.0") and photographs.endswith("others: 1 holds")
    assert generated.endswith("others: 1 opposite, 2 undecided")
    assert by_title["What in mixup does it?"] == ["not run yet", "not run yet"]
    assert [*others] == ["open 0", "clusters > random"]
    assert others["open 0"][0].startswith("✓ holds 52.3") and others["open 0"][1].startswith("? undecided 49.0")
    assert others["clusters > random"][0] == "not asked yet"
    assert others["clusters > random"][1].startswith("✗ opposite 49.0 [46.5, 51.5]")


def test_a_claim_whose_rows_name_settings_is_one_line(tmp_path: Path) -> None:
    for preset, epochs in (("animals", 6), ("demo", 18)):
        claim = verdict(f"It lasts: ours, {epochs} epochs > CAM", A, place("a"), primary=True)
        write_report(tmp_path / preset, "26_conditions", verdicts=[claim])
    page = site_pages.write_index(tmp_path / "demo").with_name("beyond.html")
    line = bs4.BeautifulSoup(page.read_text(), "html.parser").find("table", class_="found").tbody.tr
    assert line.th.small.text == "It lasts" and all("49.0" in cell for cell in cells(line))
