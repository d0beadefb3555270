"""Names of classes as people write them: which are the same, and which mean that there is no object.

Nothing here corresponds to published code, which compares names letter by letter.
"""

import re

NO_CLASS = ("background", "bg", "ignore", "ignored", "void", "unlabeled", "unlabelled")
"""What labelling tools list among classes and is none; compare with `plain_name`."""
_SINGULARS = {"s": "", "es": "", "ies": "y"}


def plain_name(name: str) -> str:
    """A class name without case, spaces, hyphens, points and underscores.

    >>> plain_name("Dining_Table"), plain_name("__ignore__"), plain_name("C++")
    ('diningtable', 'ignore', 'c++')
    """
    return re.sub(r"[\s_.-]+", "", name).casefold()


def same_class(one: str, other: str) -> bool:
    """Whether two names differ in case, separators or the plural alone.

    >>> same_class("dining table", "Dining_Tables"), same_class("pony", "ponies"), same_class("cat", "cow")
    (True, True, False)
    """
    return bool(_forms(one) & _forms(other))


def _forms(name: str) -> set[str]:
    """What a name may be as a singular."""
    plain = plain_name(name)
    return {plain} | {plain.removesuffix(end) + other for end, other in _SINGULARS.items() if plain.endswith(end)}
