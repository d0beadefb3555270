"""Every report that has been made is opened in headless Chromium without a network (`make browser`)."""

from collections.abc import Iterator
from pathlib import Path

import look
import pytest

REPORTS = Path(__file__).parents[2] / "reports"
PAGES = sorted(REPORTS.glob("*/*.html"))
SCREENSHOTS = REPORTS / "screenshots"


@pytest.fixture(scope="module")
def browser() -> Iterator[look.Browser]:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with look.chromium() as opened:
        yield opened


def test_there_are_reports_to_look_at() -> None:
    assert PAGES, f"no reports in {REPORTS}: run `make reproduce` first"


@pytest.mark.parametrize("theme", look.THEMES)
@pytest.mark.parametrize("device", look.WIDTHS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_page_is_whole_without_a_network(browser: look.Browser, page: Path, device: str, theme: str) -> None:
    found = browser.open(page.as_uri(), look.WIDTHS[device], theme)
    name = f"{page.parent.name}-{page.stem}-{device}-{theme}.png"
    browser.screenshot(SCREENSHOTS / name, look.WIDTHS[device], found["tall"])
    assert look.problems(found) == []
