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


def lines_of(page: Path, title: str) -> dict[str, list[str]]:
    """The cells of an experiment by claim."""
    soup = bs4.BeautifulSoup(page.read_text(), "html.parser")
    (body,) = [each for each in soup.find("table", class_="found")("tbody") if each.th.text.startswith(title)]
    _, *lines = body("tr")
    return {
        " ".join(line.th.get_text(" ").split()): [" ".join(cell.get_text(" ").split()) for cell in line("td")]
        for line in lines
    }


def test_the_primary_claim_and_what_is_decided_have_a_line_and_the_others_are_counted(tmp_path: Path) -> None:
    first = verdict(f"both > CAM, {maps.PRIMARY_IN_WORDS}", A, place("a"), verdict="undecided", primary=True)
    open_ones = [verdict(f"open {i}", A, place(f"{i}"), verdict="undecided") for i in range(2)]
    decided = verdict("clusters > random", A, place("b"), verdict="opposite")
    write_report(tmp_path / "demo", "41_both_methods", verdicts=[first, *open_ones, decided])
    write_report(tmp_path / "animals", "41_both_methods", B, verdicts=[first, verdict("open 0", B, place("0"))])
    page = site_pages.write_index(tmp_path / "demo").with_name("beyond.html")
    lines = lines_of(page, "Both methods together")
    assert [*lines] == ["both > CAM primary", "open 0", "clusters > random", "others"]
    photographs, generated = lines["clusters > random"]
    assert photographs == "not asked yet" and generated.startswith("✗ opposite 49.0 [46.5, 51.5]")
    assert lines["open 0"][0].startswith("✓ holds 52.3") and lines["open 0"][1].startswith("? undecided 49.0")
    assert lines["others"] == ["0 undecided", "1 undecided"]
    assert lines_of(page, "What in mixup does it?") == {"others": ["not run yet", "not run yet"]}
