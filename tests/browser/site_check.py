"""Looks at the site of reports with a reader's eyes: screenshots, and an accessibility check (`make site-check`).

`python tests/browser/site_check.py [--reports FOLDER] [--output FOLDER]` takes the index, the page "The thesis against
here", one report a chapter and a comparison of two runs, each at desk and phone width, light and dark, in headless
Chromium without a network. Every page has to pass the checks of `look.py`, those of axe-core (WCAG 2.1 A and AA and its
best practices), and a few of structure that need no axe-core. axe-core comes from the npm registry by npm, once; where
it cannot be had, that is said and the other checks remain.
"""

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import look

from companion.reports.site import PAGES

ROOT = Path(__file__).parents[2]
AXE = "4.14.1"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
STRUCTURE = """(() => {
  const named = (e) => (e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent).trim();
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((h) => Number(h.tagName[1]));
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return {
    "headings that skip a level": levels.filter((level, i) => level > (i ? levels[i - 1] : 0) + 1).length,
    "not exactly one first heading": levels.filter((level) => level === 1).length === 1 ? 0 : 1,
    "identifiers used twice": ids.length - new Set(ids).size,
    "links or buttons without a name": [...document.querySelectorAll("a[href], button, summary")]
      .filter((e) => !named(e)).length,
    "tables without headings": [...document.querySelectorAll("table")]
      .filter((t) => !t.querySelector("th")).length,
    "areas that scroll and cannot be reached by keyboard": [...document.querySelectorAll("*")]
      .filter((e) => e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX)
        && e.tabIndex < 0 && !e.querySelector("a[href], button, summary, [tabindex]")).length,
    "no main landmark": document.querySelectorAll("main").length === 1 ? 0 : 1,
  };
})()"""


def axe_source(folder: Path) -> str | None:
    """The script of axe-core, fetched by npm if it is not there yet; None, with the reason printed, without it."""
    script = folder / f"axe-{AXE}.min.js"
    if not script.is_file():
        npm = shutil.which("npm")
        if npm is None:
            print("axe-core is left out: npm is not installed")
            return None
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", f"axe-core@{AXE}", "--silent", "--pack-destination", str(folder)]
        fetched = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if fetched.returncode:
            print(f"axe-core is left out: npm could not fetch it ({fetched.stderr.strip()[-200:]})")
            return None
        with tarfile.open(folder / f"axe-core-{AXE}.tgz") as archive:
            member = archive.extractfile("package/axe.min.js")
            script.write_bytes(member.read() if member else b"")
    return script.read_text(encoding="utf-8")


def pages_of(reports: Path, output: Path) -> list[Path]:
    """Index, thesis page, the first report of each chapter, and a comparison written into `output`."""
    found = {page.stem[0]: page for page in sorted(reports.glob("[0-9]*.html"), reverse=True)}
    if not (reports / "index.html").is_file() or not found:
        raise SystemExit(f"no reports in {reports}: run `make reproduce` first, or give another folder")
    chosen = [*(reports / page.file for page in PAGES), *(page for _, page in sorted(found.items()))]
    return [*chosen, _comparison(reports, output)]


def _comparison(reports: Path, output: Path) -> Path:
    """Two runs of a notebook: of this preset and of another one or of a batch if there is any, else one run twice."""
    mine = sorted(reports.glob("[23]*/results.json")) or sorted(reports.glob("*/results.json"))
    others = [(a, b) for a in mine for b in reports.parent.rglob(f"{a.parent.name}/results.json") if a != b]
    a, b = others[0] if others else (mine[0], mine[0])
    page = output / "comparison.html"
    command = [sys.executable, "-m", "companion", "compare", str(a), str(b), "--output", str(page)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return page


def evaluate(browser: look.Browser, expression: str) -> Any:
    """The value of an expression in the page; a promise is waited for."""
    answer = browser.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
    if "exceptionDetails" in answer:
        raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", "error in the page"))
    return answer["result"].get("value")


def accessibility(browser: look.Browser, axe: str | None) -> list[str]:
    """What is wrong with the page that is open, in words; whatever is folded is looked at too."""
    evaluate(browser, "document.querySelectorAll('details').forEach((fold) => { fold.open = true; }); 1")
    wrong = [f"{count} {what}" for what, count in evaluate(browser, STRUCTURE).items() if count]
    if axe:
        evaluate(browser, axe + "; 1")
        options = json.dumps({"runOnly": TAGS, "resultTypes": ["violations"]})
        for each in evaluate(browser, f"axe.run(document, {options}).then((r) => r.violations)"):
            places = [node["target"][0] for node in each["nodes"]]
            wrong.append(f"axe: {each['id']} ({each['impact']}), {len(places)} times: {each['help']}: {places[:3]}")
    return wrong


def main() -> int:
    """Check every page in every width and theme; returns the exit status."""
    parser = argparse.ArgumentParser(description="Screenshots and accessibility of the site of reports.")
    parser.add_argument("--reports", type=Path, default=ROOT / "reports" / "demo", help="folder of one preset")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site-check", help="for the screenshots")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    axe, outcomes = axe_source(options.output), Counter[str]()
    pages = pages_of(options.reports.resolve(), options.output.resolve())
    with look.chromium() as browser:
        for page, (device, width), theme in itertools.product(pages, look.WIDTHS.items(), look.THEMES):
            found = browser.open(page.as_uri(), width, theme)
            browser.screenshot(options.output / f"{page.stem}-{device}-{theme}.png", width, found["tall"])
            wrong = look.problems(found) + accessibility(browser, axe)
            outcomes["FAIL" if wrong else "ok"] += 1
            print(f"{'FAIL' if wrong else 'ok  '} {page.name} {device} {theme}", *wrong, sep="\n       ", flush=True)
    checked = f"axe-core {AXE}" if axe else "structure alone, without axe-core"
    print(f"{outcomes['ok']} ok, {outcomes['FAIL']} failed ({checked}); screenshots in {options.output}")
    return 1 if outcomes["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
