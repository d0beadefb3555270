"""Notebook 44: what its rows differ in, and what its claims compare."""

import pytest

from companion import settings
from companion.experiments import parameters
from companion.experiments.catalogue import experiment
from companion.settings import Machine, SettingsError

DEMO = settings.load("demo")


def of(chosen=DEMO, **given):
    return experiment("44_contrast", chosen, range(3), Machine(device="cpu", crf=False), given)


def test_the_row_to_beat_differs_in_the_term_alone_and_from_plain_cam_in_the_views_alone():
    asked = of(lambda_contrasts=[0.3, 2])
    rows = {key: DEMO.override(row.overrides) for key, row in asked.rows.items()}
    assert [*rows] == ["cam", "two_views", "contrast_0.3", "contrast_2"]
    assert parameters.differences(rows["two_views"], rows["cam"]) == {"classifier.views": (2, 1)}
    assert parameters.differences(rows["contrast_2"], rows["two_views"]) == {"classifier.lambda_contrast": (2, 0)}
    primary, *others = asked.compared
    assert primary.primary and not any(claim.primary for claim in others)
    assert (primary.row, primary.reference) == (asked.rows["contrast_0.3"], asked.rows["two_views"])


@pytest.mark.parametrize(
    ("overrides", "weights"), [({"classifier.views": 2}, [0.1]), ({}, []), ({}, [0.1, 0])], ids=["views", "none", "0"]
)
def test_what_the_rows_differ_in_cannot_be_set_or_left_out(overrides, weights):
    with pytest.raises(SettingsError, match="are what the rows differ in"):
        of(settings.load("demo", overrides), lambda_contrasts=weights).stages()
