"""What is claimed of the rows of Tables 2.1 and 3.1: the primary claim, the secondary ones, and what checks them.

One claim of each table is declared primary and is read as `maps.PRIMARY`, for a threshold rule can turn the sign. All
others keep the reading that the thesis' numbers stand beside, the fixed threshold, and are corrected (`families`).
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from companion.analysis import by_class, chance, families, maps, mechanism
from companion.analysis.by_class import Pair
from companion.analysis.claims import Claim, Place, Printed, Row, Verdict, difference, judged, versus
from companion.analysis.claims import printed_difference as printed_of
from companion.analysis.families import Judged
from companion.analysis.measures import Scores
from companion.analysis.mechanism import Mechanism
from companion.analysis.methods import against_plain
from companion.experiments.declared import class_table, primary
from companion.experiments.exhibits import Note, Table
from companion.experiments.response_maps import ResponseMaps


@dataclass(frozen=True, kw_only=True, eq=False)
class ClaimedMaps(ResponseMaps):
    """Response maps of rows, and claims about pairs of them."""

    @property
    @abstractmethod
    def claims(self) -> Sequence[Claim]:
        """What is claimed of the rows; one is primary."""

    @property
    @abstractmethod
    def primary_printed(self) -> tuple[float | None, Place]:
        """What the thesis prints for the primary claim, and where."""

    @property
    @abstractmethod
    def secondary(self) -> Mapping[str, Sequence[Verdict]]:
        """The thesis' claims of the table after Holm, by where they are shown."""

    @property
    def mechanisms(self) -> Sequence[Mechanism]:
        """What the method is said to do to the maps."""
        return [*mechanism.MAPS, *([mechanism.averts(self.threshold)] if self.generated else [])]

    # --- Claims by family ---

    @cached_property
    def primary_claim(self) -> Claim:
        """The one declared in `claims`."""
        (found,) = (claim for claim in self.claims if claim.primary)
        return found

    @property
    def own_claims(self) -> list[Claim]:
        """The thesis' claims."""
        return [claim for claim in self.claims if not claim.control]

    @property
    def claims_of_walked(self) -> list[Claim]:
        """The claims whose rows are refined both."""
        return self.claims_among(self.walked)

    def claims_among(self, rows: Sequence[Row]) -> list[Claim]:
        """The claims on two of some rows."""
        names = {row.name for row in rows}
        return [claim for claim in self.claims if {claim.row.name, claim.reference.name} <= names]

    @property
    def own_claims_of_walked(self) -> list[Claim]:
        """The thesis' claims whose rows are refined both."""
        return [claim for claim in self.claims_of_walked if not claim.control]

    @property
    def claims_of_completeness(self) -> Sequence[Claim]:
        return against_plain(self.claims)

    @cached_property
    def moved(self) -> Scores:
        """Counts of val at the threshold of train, of the rows that claims speak of."""
        rows = {row.name: None for claim in self.claims for row in (claim.row, claim.reference)}
        return maps.moved(self.train, self.val, [*rows])

    def compared(self, claim: Claim, scores: Scores) -> Pair:
        """Counts of the two rows of a claim."""
        return by_class.pair(scores, claim.row.name, claim.reference.name)

    def judged_on(self, text: str, claim: Claim, scores: Scores, thesis: float | None, place: Place | None) -> Judged:
        """A claim by the scores of one step and split."""
        found = difference(scores, claim.row.name, claim.reference.name)
        return judged(text, found, thesis=thesis, place=place), self.compared(claim, scores)

    def primary(self) -> Verdict:
        """The primary claim in its reading."""
        thesis, place = self.primary_printed
        return primary(self.primary_claim, self.moved, self.on_val.classes, thesis, place)

    @cached_property
    def of_controls(self) -> Sequence[Verdict]:
        """What the control rows answer, by the fixed threshold on train, after Holm."""
        asked = []
        for claim in (each for each in self.claims if each.control):
            found, both = self.judged_on(f"{claim.text}: {versus(claim)}", claim, self.train, None, None)
            asked.append((replace(found, note=maps.other_readings(claim, self.train, self.val, {})), both))
        left_out = self.unasked(lambda every: [claim for claim in every.claims if claim.control])
        return families.alone(asked, self.on_train.classes, left_out)

    # --- Exhibits ---

    def how_decided(self) -> Note:
        """Which claims are decided how."""
        return Note(families.NOTE)

    def mechanism_verdicts(self) -> Iterator[Verdict]:
        """What the thesis says that the method does, measured, after Holm."""
        claim, on_maps = self.primary_claim, [each for each in self.mechanisms if each != mechanism.CALIBRATES]
        found = [*mechanism.verdicts(claim, on_maps, self.train, "train")]
        if mechanism.CALIBRATES in self.mechanisms:
            found += mechanism.verdicts(claim, [mechanism.CALIBRATES], self.val, "val")
        yield from families.corrected(found)

    def class_tables(self) -> Iterator[Table]:
        """Which classes each difference comes from, in the primary reading and at the fixed threshold."""
        classes = self.on_train.classes
        for name, scores, reading in (
            ("by_class_primary", self.moved, maps.PRIMARY_IN_WORDS),
            ("by_class", self.train, f"mIoU on train at the fixed threshold {self.threshold}"),
        ):
            pairs = {versus(claim): self.compared(claim, scores) for claim in self.claims}
            yield class_table(pairs, classes, name, f"{reading}; {self.of_both}")

    def claims_table(self, claims: Sequence[Claim], thesis: Mapping[str, float | None]) -> Table:
        """Every claim in the three readings."""
        return Table(
            maps.claims(claims, self.train, self.val, thesis),
            "claims",
            f"Paired differences in mIoU points: on train at the fixed threshold {self.threshold}, on train at each "
            f"row's oracle threshold, on val at the oracle threshold of train; {self.of_both}.",
            formats=dict.fromkeys(("thesis, VOC train", *maps.READINGS), "+.1f"),
            note="Verdicts in the order of the columns: ✓ holds, ✗ opposite, ? undecided; of each interval by itself.",
        )

    def chance(self, claims: Sequence[Claim], thesis: Printed) -> Iterator[Table]:
        """What seeds can decide, and what the choice of images contributes; `thesis`: printed mIoU on train."""
        yield Table(
            **chance.seeds_table(
                chance.differences(claims, self.train),
                f"paired differences at the fixed threshold {self.threshold}",
                f"{self.of_train}, {self.over}",
                printed={versus(claim): printed_of(claim, thesis) for claim in claims},
            )
        )
        yield Table(
            **chance.images_table(
                chance.of_images(self.train, [row.name for row in self.scored]),
                f"fixed threshold {self.threshold}, {self.of_train}, {self.seeds_in_words}",
            )
        )
