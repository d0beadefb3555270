"""Where tests find the project's files."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NOTEBOOKS = ROOT / "notebooks"
GOLDEN = TESTS / "golden"
