"""The rows of the tables and figures of chapter 3, sub-category exploration (SC-CAM), and what is claimed of them.

Thesis Tables 3.1-3.4 and Fig. 3.4. The control rows are not in the thesis: a gain can come from a second head, from
more outputs or from a longer schedule as well as from clusters. Nothing here corresponds to published code.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from companion.analysis.claims import Claim, Row
from companion.analysis.methods import PLAIN_CAM
from companion.experiments.rows import check_plain, rows_of_the_user
from companion.settings import Settings, SettingsError

ROUNDS = 3  # thesis 3.4.1
NAME = "SC-CAM"
PRINTED = "Sub-category exploration"
RANDOM, PARENT, TRUE, SCHEDULE = "random sub-labels", "K = 1, trained", "true sub-types", "CAM, schedule of the rounds"


def sc_cam(rounds: int = ROUNDS) -> Row:
    """SC-CAM after that many rounds.

    Raises:
        SettingsError: not even one round.
    """
    if rounds < 1:
        raise SettingsError(f"rounds must be at least 1, got {rounds}")
    return Row(NAME, {"subcategories.round": rounds}, PRINTED)


def controls(settings: Settings, *, rounds: int = ROUNDS, generated: bool) -> list[Row]:
    """Rows with the schedule of the last round and something else than clusters for labels.

    Args:
        settings: of the preset.
        rounds: the last round; random sub-labels have the sizes of its clusters.
        generated: whether the true sub-types are known.
    """
    kinds = {RANDOM: "random", PARENT: "parent"}
    if generated:
        kinds[TRUE] = "true"
    if not same_schedule(settings):
        kinds[SCHEDULE] = "none"
    return [
        Row(name, {"subcategories.round": rounds, "subcategories.labels": labels}, control=True)
        for name, labels in kinds.items()
    ]


def same_schedule(settings: Settings) -> bool:
    """Whether a round is trained as long and on the same crop as the plain classifier (S6)."""
    rounds, classifier = settings.subcategories, settings.classifier
    return not rounds.used and (rounds.epochs, rounds.crop) == (classifier.epochs, classifier.augmentation.crop)


def table_3_1(
    settings: Settings,
    extra_rows: Mapping[str, dict[str, Any]] | None = None,
    *,
    rounds: int = ROUNDS,
    generated: bool,
) -> list[Row]:
    """The two rows of Table 3.1, the control rows, and the user's own, which start from the plain classifier.

    The merged maps (A17) are not among them: they are other maps of the second row, and not refined.

    Raises:
        SettingsError: a row's name is taken, or the settings already have a regulariser or a round.
    """
    check_plain(settings)
    plain = replace(PLAIN_CAM, printed="AffinityNet")
    rows = [plain, sc_cam(rounds), *controls(settings, rounds=rounds, generated=generated)]
    return rows + rows_of_the_user(extra_rows, [*rows, merged(rounds)])


def claims_of_table_3_1(rows: list[Row]) -> list[Claim]:
    """What the thesis claims with Table 3.1, then what the control rows ask; `rows` as `table_3_1` gives them."""
    plain, explored, *others = rows
    by_name = {row.name: row for row in others}
    asked = {
        RANDOM: "Clusters do better than random groups of the same sizes",
        PARENT: "Clusters do better than a second head on the classes",
        TRUE: "Clusters do better than the true sub-types",
        SCHEDULE: "Sub-categories do better than the schedule of the rounds alone",
    }
    found = [Claim("Sub-categories improve the response maps", explored, plain)]
    found += [Claim(text, explored, by_name.pop(name), control=True) for name, text in asked.items() if name in by_name]
    return found + [Claim(f"{row.name} improves on {NAME}", row, explored, control=True) for row in by_name.values()]


def merged(rounds: int = ROUNDS) -> Row:
    """SC-CAM scored by the merged maps of its sub-categories (A17)."""
    return Row(f"{NAME}, merged maps", sc_cam(rounds).overrides | {"cam.head": "merged"}, control=True)


def table_3_2(settings: Settings, *, rounds: int = ROUNDS) -> list[Row]:
    """The rounds of Table 3.2, round 0 first (A26)."""
    check_plain(settings)
    sc_cam(rounds)
    return [PLAIN_CAM, *(Row(f"round {r}", {"subcategories.round": r}) for r in range(1, rounds + 1))]


def checkpoints(settings: Settings, *, rounds: int = ROUNDS) -> dict[tuple[int, int], Row]:
    """Every kept epoch of every round (S7), by round and epoch; the epoch that is used has the row of its round."""
    found = {}
    for number, row in enumerate(table_3_2(settings, rounds=rounds)[1:], start=1):
        used = settings.override(row.overrides).subcategories.used_epoch
        for epoch in sorted({*settings.subcategories.checkpoints, used}):
            at = Row(f"{row.name}, epoch {epoch}", row.overrides | {"cam.epoch": epoch}, control=True)
            found[number, epoch] = row if epoch == used else at
    return found
