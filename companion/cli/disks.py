"""Errors of the file system in words: what could not be written or read, why, and what to do."""

import argparse
import errno

FULL = (errno.ENOSPC, errno.EDQUOT)
WRITTEN = ("output", "json", "pictures", "reports_dir", "runs_dir")
"""Options of all commands that name what is written."""


def in_words(error: OSError, options: argparse.Namespace) -> str:
    """One sentence with the place, the cause and the remedy.

    >>> in_words(OSError(28, "No space left on device"), argparse.Namespace(output="a.html"))
    'no space is left where a.html is written ([Errno 28] No space left on device); free some and start again'
    """
    places = [str(getattr(options, name)) for name in WRITTEN if getattr(options, name, None)]
    where = " and ".join(places) or str(error.filename or "the output")
    if error.errno in FULL:
        return f"no space is left where {where} is written ({error}); free some and start again"
    return f"{error}: see that it can be read, and that {where} can be written, or choose another place"
