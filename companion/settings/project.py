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


def notebook_file(name: str) -> Path:
    """The file of the notebook that runs: in the working directory, in the project, or beside the package.

    Raises:
        FileNotFoundError: it is in none of them.
    """
    folders = (Path.cwd(), project_root() / "notebooks", NOTEBOOKS)
    for folder in folders:
        if (folder / f"{name}.ipynb").is_file():
            return folder / f"{name}.ipynb"
    raise FileNotFoundError(f"there is no {name}.ipynb in {', '.join(map(str, folders))}: its parameters are not known")
