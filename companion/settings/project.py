"""Where the project is, which relative paths count from."""

from pathlib import Path

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def project_root() -> Path:
    """The nearest folder above the working directory with `pyproject.toml` and `notebooks/`, else that itself.

    JupyterLab starts a kernel in `notebooks/`, papermill where it was called.
    """
    here = Path.cwd()
    for parent in (here, *here.parents):
        if (parent / "pyproject.toml").is_file() and (parent / "notebooks").is_dir():
            return parent
    return here
