"""Names that people type: the error for one that is unknown, and the nearest that is valid."""

import difflib


class SettingsError(ValueError):
    """A setting that does not exist or has a value outside its range."""


def nearest(name: str, valid: list[str]) -> str:
    """`"; did you mean 'x'?"` for the first that ends in it or the closest valid name, or the list of valid names."""
    close = [v for v in valid if v.split(".")[-1] == name] or difflib.get_close_matches(name, valid, 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; valid names: {', '.join(sorted(valid))}"


def one_of(what: str, value: str, valid: tuple[str, ...]) -> None:
    """Refuse a value that is not among the valid ones.

    Raises:
        SettingsError: names the nearest valid one.
    """
    if value not in valid:
        raise SettingsError(f"unknown {what} {value!r}{nearest(str(value), list(valid))}")
