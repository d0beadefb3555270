"""The `thesis` command, which `python -m companion` is too."""

import sys


def main() -> int:
    """Run the command; without the companion's dependencies, say how they are installed."""
    try:
        from companion.cli.main import main as command
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("companion", "thesislib"):
            raise
        print(
            f"thesis: {error.name} is missing: thesislib alone is installed; `pip install 'thesislib[companion]'` "
            "brings what the command and the notebooks need",
            file=sys.stderr,
        )
        return 2
    return command()


if __name__ == "__main__":
    sys.exit(main())
