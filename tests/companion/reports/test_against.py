"""Which printed numbers of the thesis stand beside ours, and which do not for a reason."""

import printed_numbers
from printed_numbers import AGAIN, OTHERS, TEST

from companion.experiments import printed


def test_numbers_that_no_notebook_places_have_their_reasons() -> None:
    left_out: dict[str, list[tuple[str, str, float]]] = {}
    for number in printed_numbers.printed():
        if number.left_out:
            left_out.setdefault(number.left_out, []).append((number.source, number.row, number.value))
    assert set(left_out) == {OTHERS, TEST, AGAIN}
    assert left_out[TEST] == [("Table 3.4", "Sub-category exploration", 65.9)]
    assert left_out[AGAIN] == [("Table 2.2", "Mixup-CAM", 65.6), ("Table 3.4", "Sub-category exploration", 66.1)]
    assert [printed.ours(name, crf=True)["miou_printed"] for name in ("table_2_3", "table_3_3")] == [65.6, 66.1]
    assert not any("Mixup" in row or "Sub-category" in row for _, row, _ in left_out[OTHERS])


def test_numbers_to_place_are_all_the_others() -> None:
    placed = [number for number in printed_numbers.printed() if not number.left_out]
    assert len(placed) == 10 + 1 + 2 + 8 + 8 + 2  # Tables 2.1, 2.2, 2.3, 3.1, 3.2, 3.3
    assert ("Table 2.2", 61.9) in printed_numbers.to_place("23_segmentation")
