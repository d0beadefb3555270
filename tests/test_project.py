import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from companion.experiments.catalogue import EXPERIMENTS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = PROJECT["dependencies"] + [r for extra in PROJECT["optional-dependencies"].values() for r in extra]


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement)[0].lower().replace("_", "-")


def test_conda_environment_lists_the_same_dependencies() -> None:
    *_, pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    listed = [line for line in pip["pip"] if not line.startswith("--")]
    assert sorted(listed) == sorted(REQUIREMENTS)


def test_every_dependency_has_a_fixed_version_for_make() -> None:
    fixed = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert {_name(requirement) for requirement in REQUIREMENTS} <= fixed


def test_ci_runs_the_tests_of_the_makefile() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("target", ["help", "reproduce", "test", "lint", "lab", "clean"])
def test_makefile_has_the_promised_targets(target: str) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_published_repositories_are_credited() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in ("SC-CAM", "psa", "CC BY 4.0", "escholarship.org"):
        assert name in readme


def test_readme_has_no_gaps_and_its_files_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    assert not re.findall(r"@[A-Z]+@", readme)
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (ROOT / target).exists(), target


def test_readme_lists_every_table_and_figure_with_its_notebook_and_report() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    for name, kind in EXPERIMENTS.items():
        (line,) = [line for line in lines if f"(notebooks/{name}.ipynb)" in line]
        report = f"reports/published/demo/{name}.html"
        assert (f"({report})" in line) == (ROOT / report).exists(), f"{name}: its report is linked once it is published"
        assert _results(line.split("|")[1]) == set(kind.reproduces), name


def _results(text: str) -> set[str]:
    """`table-2.1` and so on from "Table 2.1, Fig 2.1-2.4"."""
    found, kind = set(), ""
    for word in text.replace(",", " ").split():
        if word[0].isalpha():
            kind = word.lower().removesuffix("s")
        elif word != "–":
            first, _, last = word.partition("-")
            chapter, start = first.split(".")
            end = int((last or first).split(".")[1])
            found |= {f"{kind}-{chapter}.{number}" for number in range(int(start), end + 1)}
    return found


def test_files_and_functions_that_the_readings_name_exist() -> None:
    text = (ROOT / "docs" / "readings.md").read_text()
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 30
    for file, name in named:
        source = (ROOT / file).read_text()
        assert re.search(rf"^(def|class) {name}\b|^{name}\b", source, re.MULTILINE), f"{file}::{name}"


def test_links_of_the_documentation_lead_to_what_they_name() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "reports" / "README.md"]
    for page in pages:
        for text, target in re.findall(r"\[([^\]]*)\]\((?!http|#)([^)#\s]+)[^)]*\)", page.read_text()):
            file = (page.parent / target).resolve()
            assert file.exists(), f"{page.name}: {target}"
            if re.fullmatch(r"`[\w/]+\.\w+`", text):
                named = [folder / text.strip("`") for folder in (ROOT, page.parent, file.parent)]
                assert file in named, f"{page.name}: {text} to {target}"


def test_text_files_are_read_and_written_in_utf_8_whatever_the_locale() -> None:
    without = re.compile(r"\.(read|write)_text\((?!.*encoding=).*\)")
    sources = [path for folder in ("companion", "thesislib") for path in (ROOT / folder).rglob("*.py")]
    lines = [f"{path.name}: {line.strip()}" for path in sources for line in path.read_text().splitlines()]
    assert [line for line in lines if without.search(line) and "record.write_text" not in line] == []
