"""Every difference that the thesis prints, against its tables and against what the experiments say they answer."""

from collections import Counter

import pytest

from companion.experiments import printed
from companion.experiments import printed_differences as differences
from companion.experiments.printed_differences import CRF, MAPS, SHARPENED, WALK, WALKED, all_printed, find


def test_each_place_is_printed_once_and_says_what_it_is():
    assert Counter(each.place for each in all_printed()).most_common(1)[0][1] == 1
    assert all(each.claim and each.place.row for each in all_printed())
    assert {each.place.source for each in all_printed()} >= {
        *(f"Table {number}" for number in ("2.1", "2.2", "2.3", "3.1", "3.2", "3.3", "3.4")),
        "Fig. 2.5 a",
        "Fig. 3.4",
    }


def test_text_claims_of_the_tables_are_among_them():
    claims = printed.results()["table_2_1"]["text_claims"]
    for stage, column in ((MAPS, "cam"), (WALKED, "refined")):
        assert find("train", stage, "mixup + entropy > mixup").thesis == claims[f"{column}_gain_ent_over_mixup"]
        assert find("train", stage, "mixup + concentration > mixup").thesis == claims[f"{column}_gain_con_over_mixup"]
    for column, gain in printed.results()["table_3_1"]["text_claims"]["recomputed"].items():
        split, _, walked = column.partition("_cam")
        assert find(split, WALKED if walked else MAPS, "SC-CAM > CAM").thesis == gain


@pytest.mark.parametrize(
    ("asked", "source", "thesis"),
    [
        (("train", WALK, "CAM"), "Table 2.1", 10.1),
        (("train", WALK, "SC-CAM"), "Table 3.1", 12.5),
        (("train", WALK, "Mixup-CAM > mixup"), "Table 2.1", 0.6),  # Fig. 2.4: what refinement adds to a lead
        (("val", WALK, "SC-CAM > CAM"), "Table 3.1", 1.4),
        (("val", CRF, "Mixup-CAM"), "Table 2.3", 1.4),
        (("val", CRF, "SC-CAM"), "Table 3.3", 1.3),
        (("val", SHARPENED, "Mixup-CAM > CAM"), "Table 2.2", 3.7),
        (("val", SHARPENED, "SC-CAM > CAM"), "Table 3.4 minus Table 2.2", 4.2),
        (("val", SHARPENED, "SC-CAM > AffinityNet"), "Table 3.4", 4.4),
        (("val", MAPS, "round 3 > round 2"), "Table 3.2", 0.9),
    ],
)
def test_differences_as_printed(asked, source, thesis):
    found = find(*asked)
    assert (found.place.source, found.thesis) == (source, thesis)


def test_what_is_out_of_reach_says_why():
    reasons = Counter(each.out_of_reach for each in all_printed())
    assert reasons[differences.SERVER] == 10
    assert reasons[differences.OWN_NETWORK] == 4
    assert find("val", SHARPENED, "SC-CAM > FickleNet").out_of_reach == differences.ANOTHER
    assert find("val", SHARPENED, "no such > CAM") is None
