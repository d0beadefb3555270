"""The page "What we found" and the key numbers of the index, made from records written by hand."""

from pathlib import Path

import bs4
import pytest
from made_reports import A, B, Page, number, place, verdict, write_report

from companion.analysis import mechanism
from companion.reports import found
from companion.reports import site as site_pages

MIXED = "Mixup alone already improves them"


@pytest.fixture(autouse=True)
def nothing_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even by the project itself."""
    monkeypatch.setattr(found, "PUBLISHED", tmp_path / "nothing")


def line_of(page: Path, words: str) -> list[str]:
    """The cells of a line of "What we found"."""
    soup = bs4.BeautifulSoup(page.read_text(), "html.parser")
    (line,) = [row for row in soup.find("table", class_="found")("tr") if row.th and row.th.text.startswith(words)]
    return [" ".join(cell.get_text(" ").split()) for cell in line("td")]


def test_what_we_found_sets_the_demo_beside_photographs_that_were_not_run_yet(tmp_path: Path) -> None:
    mixup = verdict("mixup > CAM", A, place("mixup > CAM"), verdict="undecided", power=0.11, seeds=40, thesis=1.3)
    write_report(tmp_path / "demo", verdicts=[mixup], commit="abc", started="2026-11-27T08:00:00+00:00")
    beside = {"commit": "fff", "seed_values": [7], "seeds": 1}  # of a report that answers none of the main claims
    write_report(tmp_path / "demo", name="45_peers", **beside)
    page = site_pages.write_index(tmp_path / "demo").with_name("found.html")
    thesis, photographs, demo = line_of(page, MIXED)
    assert (thesis, photographs) == ("+1.3 Table 2.1", "not run yet")
    assert demo == ("? undecided 49.0 [46.5, 51.5] 3 seeds, power 0.11: too few, 40 needed")
    assert line_of(page, "The entropy term adds to mixup")[2] == "not asked yet"
    assert line_of(page, "all of these")[2].startswith("0 holds, 0 opposite, 1 undecided")
    text = Page(page).text
    assert "photographs ( animals : not run yet)" in text
    assert "generated images ( demo : 2026-11-27; commit abc; 3 seeds)" in text


def test_what_we_found_takes_photographs_that_are_beside_or_published(tmp_path: Path) -> None:
    places = tmp_path / "reports" / "animals", tmp_path / "published" / "animals" / "scores" / "reports"
    for name, folder in zip(("beside", "published"), places, strict=True):
        reports = tmp_path / name / "demo"
        write_report(reports, verdicts=[verdict("mixup > CAM", A, place("mixup > CAM"), verdict="undecided")])
        other = tmp_path / name / "/".join(folder.relative_to(tmp_path).parts[1:])
        write_report(other, verdicts=[verdict("mixup > CAM", B, place("mixup > CAM"))], generated=False)
        page = site_pages.write_index(reports).with_name("found.html")
        _, photographs, demo = line_of(page, MIXED)
        assert photographs.startswith("✓ holds 52.3 ") and demo.startswith("? undecided 49.0 ")
        assert ("; published)" in Page(page).text) == (name == "published")


def test_the_primary_reading_of_a_claim_comes_first_and_one_seed_shows_no_number(tmp_path: Path) -> None:
    where = place("mixup > CAM")
    both = [verdict("fixed", A, where), verdict("chosen", B, where, verdict="opposite", primary=True)]
    write_report(tmp_path / "demo", verdicts=both)
    write_report(tmp_path / "animals", verdicts=[verdict("one", A, where, verdict="undecided") | {"n": 1}])
    page = site_pages.write_index(tmp_path / "demo").with_name("found.html")
    _, photographs, demo = line_of(page, MIXED)
    assert demo.startswith("✗ opposite 52.3 ")
    assert photographs == "1 seed: no verdict"
    assert line_of(page, "all of these")[1].startswith("0 holds, 0 opposite, 0 undecided, 1 of fewer than 3 seeds")
    index = Page(tmp_path / "demo" / "index.html")
    assert "Primary claims" in index.text and "chosen 21_maps +2.1 ✗ opposite 52.3 " in index.text
    assert index.links[1] == "found.html"  # after the skip link


def test_the_index_shows_no_number_of_too_few_seeds(tmp_path: Path) -> None:
    one = {"label": "CAM, mIoU", "text": "50.5 %", "value": 50.5, "n": 1}
    write_report(tmp_path / "demo", key_numbers=[one, number("three", A)], verdicts=[])
    index = Page(site_pages.write_index(tmp_path / "demo"))
    assert "CAM, mIoU 1 seed: no interval to rest on" in index.text and "50.5" not in index.text
    assert "three 49.0 [46.5, 51.5]" in index.text and "Primary claims" not in index.text


def test_every_main_claim_is_one_of_the_thesis() -> None:
    mains = [main for asked in found.CHAPTERS.values() for main in asked]
    assert all(main.printed or main.begins for main in mains)
    assert not any(main.printed and main.printed.out_of_reach for main in mains)
    for begins in (found.COMPLETE, found.EVEN):  # as the notebooks say it
        assert any(f"{each.text} ({each.measured}".startswith(begins) for each in mechanism.MAPS)
