"""How presets, profiles and dotted overrides become settings.

A preset chooses data and scale, a profile chooses between what the published code does (`released`) and what the thesis
prints (`text`).
"""

import tomllib
from collections.abc import Mapping
from typing import Any, get_args

from companion.settings.names import SettingsError, one_of
from companion.settings.presets import PRESETS, TEXT_PROFILE
from companion.settings.schema import Profile, Settings, validate


def load(preset: str = "demo", overrides: Mapping[str, Any] | None = None, *, profile: str = "released") -> Settings:
    """Settings of a preset and profile with dotted overrides on top.

    Raises:
        SettingsError: unknown preset, profile or name, or a value outside its range; names the nearest valid one. Or
            profile `text` of a preset that it does not change.
    """
    one_of("preset", preset, tuple(PRESETS))
    one_of("profile", profile, get_args(Profile))
    if profile == "text" and preset != "voc2012":
        raise SettingsError(f"profile 'text' is a reading of preset voc2012; it would change nothing of {preset}")
    reading = TEXT_PROFILE if profile == "text" else {}
    base = validate({"preset": preset, "profile": profile})
    return base.override({**PRESETS[preset], **reading, **(overrides or {})})


def check_effect(overrides: Mapping[str, Any], data_root: str) -> None:
    """Refuse overrides that are valid but would change nothing.

    Raises:
        SettingsError: the training seed, which `seeds` chooses, or what describes generated images where `data_root`
            brings others.
    """
    if "seed" in overrides:
        raise SettingsError("seed is chosen by seeds (--seeds 7, for one seed --seeds 7,): an override changes nothing")
    idle = [name for name in overrides if name.startswith("data.") and name != "data.source"]
    if idle and data_root:
        raise SettingsError(
            f"{idle[0]} is of generated images and changes nothing of {data_root}: leave one of them out"
        )


def parse_override(text: str) -> tuple[str, Any]:
    """Read `name=value`, the value as TOML (so that `1e-4` is a number) or else as a plain string.

    >>> parse_override("classifier.lambda_con=1e-4")
    ('classifier.lambda_con', 0.0001)
    """
    name, separator, value = text.partition("=")
    if not separator:
        raise SettingsError(f"{text!r} is not of the form name=value, e.g. classifier.mixup_alpha=0.4")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value
