"""Differences, signs and words of claims, each against what it is by hand."""

from dataclasses import replace

import numpy as np
import pytest

from companion.analysis import claims
from companion.analysis.claims import Claim, Row
from companion.analysis.power import power, seeds_needed
from companion.analysis.statistics import Interval, mean_interval, p_value

OURS, THEIRS, OTHER = Row("ours"), Row("theirs"), Row("other")
SCORES = {
    "ours": [{"x": np.array(x)} for x in (3.0, 5.0, 4.5)],
    "theirs": [{"x": np.array(x)} for x in (2.0, 3.0, 4.0)],
}
ABOVE, BELOW, OPEN = mean_interval([1.0, 1.1, 0.9]), mean_interval([-2.0, -2.1, -1.9]), mean_interval([-1.0, 0.2, 1.0])


def measure(run):
    return float(run["x"])


def test_differences_are_taken_seed_by_seed():
    assert claims.seed_values(SCORES, "ours", measure) == [3.0, 5.0, 4.5]
    assert claims.seed_differences(SCORES, "ours", "theirs", measure) == [1.0, 2.0, 0.5]
    found = claims.difference(SCORES, "ours", "theirs", measure)
    assert found == mean_interval([1.0, 2.0, 0.5]) and found.values == (1.0, 2.0, 0.5)
    short = SCORES | {"theirs": SCORES["theirs"][:2]}
    for between in (claims.difference, claims.seed_differences):
        with pytest.raises(ValueError):
            between(short, "ours", "theirs", measure)


def test_what_is_added_is_paired_by_seed():
    before = SCORES | {"ours": SCORES["theirs"]}
    assert claims.added(SCORES, before, "ours", measure) == mean_interval([1.0, 2.0, 0.5])


def test_a_difference_is_printed_where_both_rows_are():
    printed = {"ours": 50.1, "theirs": 48.0, "other": None}
    assert claims.printed_difference(Claim("", OURS, THEIRS), printed) == pytest.approx(2.1)
    assert claims.printed_difference(Claim("", OURS, OTHER), printed) is None
    assert claims.printed_difference(Claim("", Row("new"), THEIRS), printed) is None


def test_a_verdict_has_the_printed_difference_in_words():
    found = claims.judged("ours > theirs", ABOVE, thesis=-0.44)
    assert (found.verdict, found.note, found.thesis) == ("holds", "Thesis −0.4.", -0.44)
    assert claims.judged("", ABOVE, sign=-1).verdict == claims.judged("", BELOW).verdict == "opposite"
    assert claims.judged("", None).verdict == claims.judged("", OPEN).verdict == "undecided"
    assert claims.judged("", ABOVE, "a note", thesis=1.0).note == "a note"


def test_signs():
    assert claims.signs({"a": ABOVE, "b": BELOW, "c": OPEN}) == "✓ ✗ ?"
    assert claims.sign(None) == ""


def test_readings_in_words_have_signs_and_no_negative_zero():
    found = {"shown": BELOW, "val, oracle": mean_interval([-0.01] * 3), "train": BELOW}
    assert claims.remarks(1.2, found) == "thesis +1.2; val, oracle +0.0 opposite; train −2.0 opposite."
    assert (
        claims.remarks(None, {"shown": BELOW, "oracle": Interval(0.125, 1, -1, 2, 3)}, 2) == "oracle +0.12 undecided."
    )


def test_a_table_of_lines_keeps_their_order_and_what_is_missing():
    frame = claims.lines_as_table({"b > a": {"thesis": None, "ours": ABOVE}, "a > c": {"thesis": 1.0, "ours": BELOW}})
    assert frame.index.name == "difference" and list(frame.index) == ["b > a", "a > c"]
    assert frame.loc["b > a", "ours"] == ABOVE
    assert [value is None or np.isnan(value) for value in frame["thesis"]] == [True, False]


def test_values_of_any_kind_are_paired_where_both_exist_for_every_seed():
    ours, theirs = [0.5, 0.7, 0.9], [0.4, 0.5, 0.9]
    assert claims.paired(ours, theirs) == mean_interval(np.subtract(ours, theirs))
    assert claims.paired([], []) is None and claims.paired([0.5, np.nan, 0.9], theirs) is None


def test_a_difference_within_a_margin_holds_whatever_its_sign():
    assert [claims.within("equal", found, 3).verdict for found in (ABOVE, BELOW)] == ["holds"] * 2
    assert [claims.within("equal", found, 1).verdict for found in (BELOW, OPEN)] == ["opposite", "undecided"]


def test_a_verdict_has_its_test_and_the_power_to_see_the_printed_difference():
    found = claims.judged("", OPEN, thesis=-2.0)
    assert found.sought == 2 and found.p == p_value(OPEN) and not found.primary
    assert found.power == power(2.0, OPEN.std, 3) and found.seeds == seeds_needed(OPEN, 2.0)
    assert claims.judged("", OPEN).sought == 1 and claims.judged("", OPEN, format="+.2f").sought is None
    assert claims.judged("", mean_interval([1.0, 2.0])).p is None


def test_what_could_not_have_been_decided_is_said_so():
    assert claims.tests_in_words(claims.judged("", OPEN)) == (
        "p 0.919 · less than an even chance with 3 seeds: power 0.18 to see 1.0 (11 seeds for 80 %)"
    )
    decided = claims.tests_in_words(claims.judged("", ABOVE, thesis=1.3))
    assert decided == "p 0.003 · power 1.00 to see 1.3 (3 seeds for 80 %)"
    assert claims.tests_in_words(replace(claims.judged("", ABOVE, format="+.2f"), adjusted=0.02)) == (
        "p 0.003, 0.020 after Holm"
    )
    assert claims.tests_in_words(claims.judged("", None)) == ""
