"""Every hyper-parameter, validated and frozen, with presets, profiles and the machine that a stage runs on."""

from companion.settings.loading import check_effect, load, parse_override
from companion.settings.machine import Machine
from companion.settings.names import SettingsError, nearest
from companion.settings.presets import PRESETS
from companion.settings.schema import (
    AffinitySettings,
    BackboneSettings,
    CamSettings,
    ClassifierSettings,
    CrfSettings,
    DataSettings,
    OptimiserSettings,
    PretextSettings,
    Profile,
    RecamSettings,
    SegmentationSettings,
    Settings,
    Split,
    SubcategorySettings,
    names,
)

__all__ = [
    "PRESETS",
    "AffinitySettings",
    "BackboneSettings",
    "CamSettings",
    "ClassifierSettings",
    "CrfSettings",
    "DataSettings",
    "Machine",
    "OptimiserSettings",
    "PretextSettings",
    "Profile",
    "RecamSettings",
    "SegmentationSettings",
    "Settings",
    "SettingsError",
    "Split",
    "SubcategorySettings",
    "check_effect",
    "load",
    "names",
    "nearest",
    "parse_override",
]
