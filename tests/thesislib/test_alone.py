"""The thesis stands alone: no dependency of the companion, and shapes that are checked in every module."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import thesislib

ROOT = Path(thesislib.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MODULES = [".".join(("thesislib", *path.relative_to(ROOT).with_suffix("").parts)) for path in FILES]
FORBIDDEN = (
    *("companion", "pandas", "pydantic", "dask", "distributed", "matplotlib", "seaborn", "jinja2", "filelock", "tqdm"),
    *("yaml", "papermill", "nbformat", "nbconvert", "ipywidgets", "IPython"),
)
BARE = {"Tensor", "ndarray"}
PROGRAM = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {forbidden!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed here", name=name)
sys.meta_path.insert(0, Refuse())
for name in {modules!r}:
    importlib.import_module(name.removesuffix(".__init__"))
for name in ("pandas", "companion.settings"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{{name}} was not refused")
"""


def test_every_module_is_imported_without_what_the_companion_needs() -> None:
    program = PROGRAM.format(forbidden=set(FORBIDDEN), modules=MODULES)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(MODULES) > 25


def _bare(annotation: ast.expr | None) -> bool:
    """Whether it is a tensor or an array of any shape; a list of them, which may differ, is not."""
    if isinstance(annotation, ast.BinOp):
        return _bare(annotation.left) or _bare(annotation.right)
    return getattr(annotation, "id", getattr(annotation, "attr", "")) in BARE


def test_tensors_without_a_shape_are_found() -> None:
    texts = ("Tensor", "np.ndarray | None", 'Float[Tensor, "b c"]', "list[Tensor]", 'None | Real[Tensor, "b"]')
    assert [_bare(ast.parse(text, mode="eval").body) for text in texts] == [True, True, False, False, False]


@pytest.mark.parametrize("path", FILES, ids=MODULES)
def test_public_functions_on_tensors_and_arrays_say_their_shapes(path: Path) -> None:
    tree = ast.parse(path.read_text())
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    for node in (each for body in bodies for each in body if isinstance(each, ast.FunctionDef)):
        if not node.name.startswith("_") or node.name == "__call__":
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = {each.arg for each in given if _bare(each.annotation)} | (
                {"return"} if _bare(node.returns) else set()
            )
            assert not bare, f"{path.name}: {node.name}: {sorted(bare)}"
