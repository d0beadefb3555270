"""Kinds of error against a loop over pixels, and what must add up."""

import numpy as np
import pytest

from companion.analysis import errors as failures

WIDTH = 2.0
CLASSES = 4


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(3)
    truth = np.kron(rng.integers(0, CLASSES, (4, 5)), np.ones((6, 6), int)).astype(np.uint8)
    truth[10:12, :] = 2  # a thin bar
    truth[3, 4:9] = 255
    prediction = np.where(rng.random(truth.shape) < 0.6, truth % CLASSES, rng.integers(0, CLASSES, truth.shape))
    return truth, prediction.astype(np.uint8)


def near(here, there, width):
    """Pixels of `here` within `width` of a pixel of `there`, one by one."""
    found = np.zeros(here.shape, bool)
    others = np.argwhere(there)
    for y, x in np.argwhere(here):
        found[y, x] = len(others) > 0 and (np.hypot(*(others - (y, x)).T) <= width).any()
    return found


def test_band_is_what_lies_near_another_label(pair):
    truth, _ = pair
    where = failures.regions(truth, CLASSES, WIDTH)
    for label in np.unique(truth[truth < CLASSES]):
        here = truth == label
        assert (where.band[here] == near(here, ~here, WIDTH)[here]).all()
    assert not where.band[truth == 255].any()


def test_thin_is_what_no_disc_within_the_object_reaches(pair):
    truth, _ = pair
    where = failures.regions(truth, CLASSES, WIDTH)
    for label in range(1, CLASSES):
        here = truth == label
        centres = here & ~near(here, ~here, WIDTH)
        assert (where.thin[here] == ~near(here, centres, WIDTH)[here]).all()
    assert not where.thin[(truth == 0) | (truth == 255)].any()
    bar = np.zeros((20, 20), np.uint8)
    bar[9:11], bar[2:8, 2:8] = 1, 2
    thin = failures.regions(bar, CLASSES, WIDTH).thin
    assert thin[bar == 1].all() and not thin[4:6, 4:6].any()


def test_between_is_what_lies_near_an_object_of_another_class(pair):
    truth, _ = pair
    where = failures.regions(truth, CLASSES, WIDTH)
    objects = (truth > 0) & (truth < CLASSES)
    for label in range(1, CLASSES):
        here = truth == label
        assert (where.between[here] == near(here, objects & ~here, WIDTH)[here]).all()
    assert not where.between[~objects].any() and where.between.any()
    alone = np.where(truth == 1, 1, 0).astype(np.uint8)
    assert not failures.regions(alone, CLASSES, WIDTH).between.any()


def test_every_wrong_pixel_is_one_kind(pair):
    truth, prediction = pair
    where = failures.regions(truth, CLASSES, WIDTH)
    found = dict(zip(failures.COUNTS, failures.count_errors(truth, prediction, where), strict=True))
    expected = dict.fromkeys(failures.KINDS, 0)
    for t, p, band in zip(truth.ravel(), prediction.ravel(), where.band.ravel(), strict=True):
        if t == p or t == 255:
            continue
        kind = "boundary" if band else "missed" if p == 0 else "background response" if t == 0 else "confused"
        expected[kind] += 1
    assert {kind: found[kind] for kind in failures.KINDS} == expected
    assert all(expected.values())
    assert found["band"] + found["interior"] == (truth != 255).sum()
    wrong = (truth != prediction) & where.between
    assert (found["between"], found["between wrong"]) == (where.between.sum(), wrong.sum())
    assert found["thin"] + found["thick"] == ((truth > 0) & (truth != 255)).sum()


def test_rates_of_a_perfect_and_of_an_empty_prediction(pair):
    truth, _ = pair
    where = failures.regions(truth, CLASSES, WIDTH)
    perfect = failures.rates(failures.count_errors(truth, np.where(truth == 255, 0, truth), where))
    assert set(perfect.values()) == {0.0}
    empty = failures.rates(failures.count_errors(truth, np.zeros_like(truth), where))
    for place in ("thin parts", "other parts", "between objects", "not between"):
        assert empty[place] == 100
    assert empty["background response"] == empty["confused"] == 0
    assert sum(empty[kind] for kind in failures.KINDS) == pytest.approx(empty["all"])


def test_a_place_that_does_not_occur_is_missing():
    truth = np.zeros((4, 4), np.uint8)
    found = failures.rates(failures.count_errors(truth, truth, failures.regions(truth, CLASSES, 1)))
    assert np.isnan(found["thin parts"]) and np.isnan(found["in the band"]) and found["inside"] == 0


def test_worst_images_have_the_largest_share():
    counts = np.zeros((4, len(failures.COUNTS)), np.int64)
    counts[:, failures.COUNTS.index("interior")] = 100, 100, 1000, 100
    counts[:, failures.COUNTS.index("missed")] = 5, 0, 20, 9
    assert failures.worst(counts, "missed", 3) == [3, 0, 2]
    assert failures.worst(counts, "confused", 3) == []


def test_bad_input_is_named():
    truth = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="width of the boundary band must be positive"):
        failures.regions(truth, CLASSES, 0)
    with pytest.raises(ValueError, match=r"size \(3, 4\) cannot be compared"):
        failures.count_errors(truth, truth[:3], failures.regions(truth, CLASSES, 1))
