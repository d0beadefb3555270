"""Index, "The thesis against here", comparison of two runs and snapshot, made from records written by hand."""

import json
import re
from pathlib import Path
from typing import Any

import bs4
import numpy as np
import pytest
from made_reports import HOSTILE, LEAD, A, B, Page, number, place, png, verdict, write_report
from notebook_files import write_notebook
from PIL import Image
from places import TESTS
from scipy import stats

from companion.cli import main as cli
from companion.experiments.printed_differences import all_printed
from companion.reports import compare as comparison
from companion.reports import printed_beside, snapshot
from companion.reports import site as site_pages
from companion.reports.page import TEMPLATES
from companion.reports.record import FILE, NumberEntry, Record

# --- Index and thesis page --------------------------------------------------------------------------------------------


def test_index_groups_by_chapter_and_lists_what_was_not_executed(tmp_path: Path) -> None:
    write_report(tmp_path / "demo", "31_maps")
    for name in ("21_maps", "31_maps", "41_both_methods", "51_performance"):
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", introduction=f"# Title of {name}")
    page = Page(site_pages.write_index(tmp_path / "demo", tmp_path / "notebooks"))
    titles = ["Chapter 2", "Title of 21_maps", "Chapter 3", "Maps", "Beyond the thesis", "Title of 41_both_methods"]
    titles += ["Performance", "Title of 51_performance"]
    text = page.text.partition("Beyond the thesis")[2]  # which the first line links
    assert [text.find(title) for title in titles] == sorted(text.find(title) for title in titles)
    assert "Title of 21_maps … not executed yet 21_maps thesis run 21_maps --preset demo" in page.text
    assert "4 notebooks: 3 not executed yet, 1 done." in page.text
    assert "Title of 31_maps" not in page.text  # its record has the title
    thesis = Page(tmp_path / "demo" / "thesis.html").text
    assert "21_maps" in thesis and "41_both_methods" not in thesis  # which would add no printed number
    local = [link for link in page.links if "://" not in link and not link.startswith("#")]
    assert "31_maps.html" in local and all((tmp_path / "demo" / link).is_file() for link in local)


def test_batches_beside_are_linked(tmp_path: Path) -> None:
    (tmp_path / "batches" / "table_2_1").mkdir(parents=True)
    (tmp_path / "batches" / "table_2_1" / "index.html").touch()
    (tmp_path / "demo").mkdir()
    assert "../batches/table_2_1/index.html" in Page(site_pages.write_index(tmp_path / "demo")).links


def test_thesis_page_has_each_printed_number_once_with_interval_and_difference(tmp_path: Path) -> None:
    write_report(tmp_path / "demo")
    site_pages.write_index(tmp_path / "demo")
    page = Page(tmp_path / "demo" / "thesis.html")
    low, high = stats.t.interval(0.95, 2, 49, 1 / 3**0.5)
    apart = f"[−{48 - low:.1f}, +{high - 48:.1f}]"
    assert page.text.count(f"CAM train, response maps 48.0 49.0 [{low:.1f}, {high:.1f}] +1.0 {apart} 3 21_maps") == 1
    assert page.text.count("48.0 49.0") == 1
    assert f"A > B {HOSTILE} train, response maps +2.1 +1.0 [−1.0, +3.0] ? undecided 3 21_maps" in page.text
    assert "✓ holds 0 ✗ opposite 0 ? undecided 1 too few seeds 0 no answer here" in page.text
    assert "Generated data: a reading aid, not a comparison." in page.text
    assert page.tags.count("script") == 1


def test_pages_of_photographs_say_which_constants_were_chosen_with_their_masks(tmp_path: Path) -> None:
    chosen = "Constants chosen on train."
    for preset in ("animals", "demo"):
        write_report(tmp_path / preset, generated=preset == "demo")
        site_pages.write_index(tmp_path / preset)
        assert (chosen in Page(tmp_path / preset / "thesis.html").text) == (preset == "animals")
        assert chosen in Page(tmp_path / preset / "found.html").text  # which shows both


def test_one_measurement_in_two_reports_counts_once_and_another_one_of_the_claim_stands_beside(tmp_path: Path) -> None:
    again = [A[0] + 1e-9, *A[1:]]  # the same artefacts, summed in another order
    for name, words, values in (("21_maps", "first", A), ("23_masks", "as well", again), ("35_other", "others", B)):
        write_report(tmp_path / "demo", name, verdicts=[verdict(words, values, LEAD)], key_numbers=[], tables=[])
    site_pages.write_index(tmp_path / "demo")
    page = Page(tmp_path / "demo" / "thesis.html")
    assert "✓ holds 2 ✗ opposite 0 ? undecided 0" in page.text
    where = "Mixup-CAM is above CAM train, response maps +2.1"
    for mean, reports in (("+49.0", "21_maps , 23_masks"), ("+52.3", "35_other")):
        assert re.search(rf"{re.escape(where)} {re.escape(mean)} \[[^]]*\] ✓ holds 3 {reports} ", page.text)
    assert page.text.count(where) == 2
    assert page.links.count("23_masks.html") == 1


def test_differences_of_the_thesis_that_nothing_answers_are_listed(tmp_path: Path) -> None:
    write_report(tmp_path / "demo", verdicts=[verdict("first", A, LEAD)])
    site_pages.write_index(tmp_path / "demo")
    page = Page(tmp_path / "demo" / "thesis.html")
    within = [each for each in all_printed() if not each.out_of_reach]
    assert f"no answer here {len(within) - 1} " in page.text
    assert "A CRF at test time improves SC-CAM val, DeepLab + CRF minus DeepLab +1.3 no answer here" in page.text
    for each in all_printed():
        assert (each.place.row if each.out_of_reach else each.claim) in page.text
    assert "SC-CAM > FickleNet (test, +0.6)" in page.text


def test_a_page_more_is_written_linked_from_all_and_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = site_pages.Page("more.html", f"More {HOSTILE}", site_pages.PAGES[0].make)
    pages = (*site_pages.PAGES, more)
    monkeypatch.setattr(site_pages, "PAGES", pages)
    monkeypatch.setattr(site_pages, "NAVIGATION", tuple((page.file, page.title) for page in pages))
    write_report(tmp_path / "demo")
    site_pages.write_index(tmp_path / "demo")
    snapshot.write(tmp_path / "demo", tmp_path / "copy")
    for page in pages:
        navigation = bs4.BeautifulSoup((tmp_path / "copy" / page.file).read_text(), "html.parser").nav
        assert navigation and [link["href"] for link in navigation("a")] == [each.file for each in pages]
        assert [link.text for link in navigation("a", attrs={"aria-current": "page"})] == [page.title]


def test_sources_come_in_the_order_of_the_thesis() -> None:
    names = ["Fig. 3.4", "Table 3.2", "Table 2.1", "Fig. 2.5 b", "Table 2.2", "Fig. 2.5 a"]
    beside = [number("", A) | place("CAM", name) | {"thesis": 1} for name in names]
    record = Record(notebook="x", tables=[{"name": "scores", "beside": beside}])
    assert list(printed_beside.levels([record])) == [
        "Table 2.1",
        "Table 2.2",
        "Fig. 2.5 a",
        "Fig. 2.5 b",
        "Table 3.2",
        "Fig. 3.4",
    ]


# --- Comparison -------------------------------------------------------------------------------------------------------


def test_comparison_shows_what_differs(tmp_path: Path) -> None:
    a = write_report(tmp_path / "demo")
    b = write_report(tmp_path / "other", values=B, settings={"classifier": {"epochs": 20, "lambda_ent": 0.02}})
    output = tmp_path / "both.html"
    assert cli.main(["compare", str(a), str(b / FILE), "--output", str(output)]) == 0
    page = Page(output)
    assert "alpha 0.48 0.5" in page.text and "classifier.epochs 14 20" in page.text
    assert "lambda_ent" not in page.text and "runs_dir" not in page.text
    assert change(stats.ttest_rel(B, A)) in page.text and "paired differences, seed by seed" in page.text
    assert "scores: 1 of 2 cells differ" in page.text and "same: all 1 cells the same" in page.text
    assert re.search(r"CAM mIoU 48.0 \[40.50, 60.50\] 50.0 \[40.50, 60.50\] \+2.00", page.text)
    assert page.tags.count("img") == 3  # the drawing is the same in both
    assert page.tags.count("script") == 1
    assert all((tmp_path / link).is_file() for link in page.links if not link.startswith("#"))
    assert "Other images" not in page.text


def change(test: Any) -> str:
    """B - A as the page shows it, with the interval of a test of scipy."""
    interval = test.confidence_interval(0.95)
    return f"+{np.mean(B) - np.mean(A):.1f} [{interval.low:+.1f}, {interval.high:+.1f}]".replace("-", "−")


@pytest.mark.parametrize(
    "other",
    [
        {"seed_values": [3, 4, 5]},
        {"data": "another folder"},
        {"settings": {"data": {"data_seed": 1}}},
        {"key_numbers": [number("CAM, mIoU", B) | {"values": None}]},
    ],
)
def test_comparison_of_runs_that_share_no_seeds_or_images_is_not_paired(tmp_path: Path, other: dict[str, Any]) -> None:
    a, b = write_report(tmp_path / "demo"), write_report(tmp_path / "other", values=B, **other)
    page = Page(comparison.write(a, b, tmp_path / "both.html"))
    assert change(stats.ttest_ind(B, A, equal_var=False)) in page.text and "Welch" in page.text


def test_comparison_of_the_same_seeds_by_list_is_paired_and_says_which(tmp_path: Path) -> None:
    which = {"seed_values": [100, 101, 102]}
    a, b = write_report(tmp_path / "demo", **which), write_report(tmp_path / "other", values=B, **which)
    page = Page(comparison.write(a, b, tmp_path / "both.html"))
    assert "seed by seed" in page.text and page.text.count("seeds 100-102") == 2


def test_comparison_across_presets_says_that_scores_are_not_of_the_same_thing(tmp_path: Path) -> None:
    a, b = write_report(tmp_path / "demo"), write_report(tmp_path / "smoke", preset="smoke")
    page = Page(comparison.write(a.with_suffix(".html"), b, tmp_path / "both.html"))
    assert "The two runs differ in the preset" in page.text


@pytest.mark.parametrize(
    ("name", "content"),
    [("scores.csv", None), ("scores.csv", b"a,b\nc\n"), ("scores.csv", b"\xff\xfe"), ("curve.png", None)],
)
def test_comparison_names_the_file_of_a_report_that_is_missing_or_damaged(
    name: str, content: bytes | None, tmp_path: Path
) -> None:
    a, b = write_report(tmp_path / "a"), write_report(tmp_path / "b", values=B)
    (b / name).unlink()
    if content is not None:
        (b / name).write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"cannot read {b / name}, which belongs to a report: .*Make the report again"
    ):
        comparison.write(a, b, tmp_path / "both.html")
    assert not (tmp_path / "both.html").exists()


def test_comparison_of_what_cannot_be_compared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write_report(tmp_path / "demo"), write_report(tmp_path / "demo", "31_maps")
    for arguments, message in (
        ([a, b], "is of the notebook 21_maps"),
        ([a, tmp_path], "expected a report"),
        ([a, a, "--output", tmp_path / "none" / "page.html"], "expected an .html file in a folder that exists"),
    ):
        assert cli.main(["compare", *map(str, arguments)]) == 2
        assert message in capsys.readouterr().err


# --- Snapshot ---------------------------------------------------------------------------------------------------------


def test_snapshot_is_small_whole_and_has_no_dead_links(tmp_path: Path) -> None:
    write_report(tmp_path / "demo")
    site_pages.write_index(tmp_path / "demo")
    whole = sum(path.stat().st_size for path in (tmp_path / "demo").glob("*.html"))
    size, _ = snapshot.write(tmp_path / "demo", tmp_path / "copy")
    copies = sorted(path.name for path in (tmp_path / "copy").iterdir())
    assert copies == sorted(["21_maps.html", *(page.file for page in site_pages.PAGES)])
    assert size == sum(path.stat().st_size for path in (tmp_path / "copy").iterdir()) < whole
    for name in copies:
        links = [
            link for link in Page(tmp_path / "copy" / name).links if "://" not in link and not link.startswith("#")
        ]
        assert all((tmp_path / "copy" / link).is_file() for link in links)
    report = (tmp_path / "copy" / "21_maps.html").read_text()
    assert "let a = 1 < 2 && 3;" in report and "notes" in report
    assert "Files" not in report and 'alt="maps"' in report and "data:image/webp" in report
    snapshot.write(tmp_path / "demo", tmp_path / "copy")  # an older copy is replaced


def test_snapshot_makes_figures_as_small_as_it_must(tmp_path: Path) -> None:
    write_report(tmp_path / "demo")
    site_pages.write_index(tmp_path / "demo")
    sizes = [snapshot.write(tmp_path / "demo", tmp_path / "copy")]
    while sizes[-1][1] != snapshot.REDUCTIONS[-1]:
        sizes.append(snapshot.write(tmp_path / "demo", tmp_path / "copy", most_bytes=sizes[-1][0]))
    assert len(sizes) == len(snapshot.REDUCTIONS)
    with pytest.raises(ValueError, match="are allowed"):
        snapshot.write(tmp_path / "demo", tmp_path / "copy", most_bytes=1000)


def test_snapshot_refuses_what_is_not_finished_and_spares_other_files(tmp_path: Path) -> None:
    write_report(tmp_path / "demo", state="failed")
    with pytest.raises(ValueError, match="no reports with an index"):
        snapshot.write(tmp_path / "demo", tmp_path / "copy")
    site_pages.write_index(tmp_path / "demo")
    with pytest.raises(ValueError, match="21_maps is failed"):
        snapshot.write(tmp_path / "demo", tmp_path / "copy")
    write_report(tmp_path / "good")
    site_pages.write_index(tmp_path / "good")
    with pytest.raises(ValueError, match="holds more than pages"):
        snapshot.write(tmp_path / "good", tmp_path / "good")
    with pytest.raises(ValueError, match="execute its notebook first"):
        list(snapshot.write_pictures(tmp_path / "good", tmp_path))


def test_pictures_of_the_readme_are_small(tmp_path: Path) -> None:
    for source in snapshot.PICTURES.values():
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).write_bytes(png(3, (300, 1100)))
    for path in snapshot.write_pictures(tmp_path, tmp_path):
        with Image.open(path) as image:
            assert image.width <= 1000 and image.mode == "P"


# --- Colours ----------------------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_has_enough_contrast_in_both_themes() -> None:
    style = (TEMPLATES / "style.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    for theme in (light, light | dark):
        for ink in ("ink", "soft", "link", "place1", "place2", "place3"):
            for paper in ("paper", "card"):
                assert contrast(theme[ink], theme[paper]) >= 4.5, (ink, paper)
        assert contrast(theme["ink"], theme["warn"]) >= 4.5
        for badge in ("holds", "opposite", "undecided"):
            assert contrast("#ffffff", theme[badge]) >= 4.5, badge


def test_records_of_older_reports_can_be_read(tmp_path: Path) -> None:
    """Fields that were added since have their empty value."""
    (tmp_path / "21_maps").mkdir()
    (tmp_path / "21_maps" / FILE).write_text(json.dumps({"notebook": "21_maps", "state": "done"}))
    found = Record.read(tmp_path / "21_maps" / FILE)
    assert (found.state, found.artefacts, found.tables) == ("done", {}, [])


def test_a_record_of_the_package_before_it_was_two_keeps_every_value() -> None:
    """Written by commit 53510fe for the demo; here with one entry of each kind."""
    path = TESTS / "companion" / "reports" / "old_record" / FILE
    found = Record.read(path)
    kept, written = found.model_dump(mode="json"), json.loads(path.read_text())
    assert {name: kept[name] for name in written} == written
    assert not any(kept[name] for name in kept.keys() - written.keys())
    number, verdict, (*_, table) = found.key_numbers[0], found.verdicts[0], found.tables
    assert (number.label, number.thesis, number.n, number.place.row) == ("CAM, mIoU train", 48.0, 3, "CAM")
    assert number.value == pytest.approx(np.mean(number.values)) and number.low < number.value < number.high
    assert verdict.verdict == "undecided" and verdict.place.source == table.beside[0].source == "Table 2.1"
    assert {artefact.precision for artefact in found.artefacts.values()} == {"fp32"}
    assert found.profiles["classifier.learning_rate"] == (0.01, 0.001)


def test_what_was_not_given_is_not_written_and_numbers_are_plain(tmp_path: Path) -> None:
    record = Record(notebook="x", seeds=3, data="here")
    record.add(NumberEntry(label="a", text="1", value=np.float32(1.5)))
    record.add(NumberEntry(label="b", text="–", value=float("nan"), low=np.float64(1), n=np.int64(3)))
    record.add(NumberEntry(label="a", text="2", value=2))
    record.write(tmp_path / FILE)
    written = json.loads((tmp_path / FILE).read_text())
    first = {"label": "a", "text": "2", "value": 2}
    assert written["key_numbers"] == [first, {"label": "b", "text": "–", "value": None, "low": 1.0, "n": 3}]
    assert (written["seeds"], written["error"], written["tables"]) == (3, None, [])


@pytest.mark.parametrize("content", ["{", "[]", '{"state": "half done"}', '{"key_numbers": [{"value": 1}]}'])
def test_what_is_no_record_is_said_with_its_file(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=r"results\.json: .*(not a record of a notebook|expected the record)"):
        Record.read(tmp_path / FILE)
