"""Fig. 2.4, and which images the random walk helps: what step 2 makes of the maps of plain CAM and of Mixup-CAM.

Thesis section 2.4.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from companion.analysis import families, measures, refined_images
from companion.analysis.claims import judged
from companion.analysis.statistics import mean_interval
from companion.drawing import curves, image_grids
from companion.experiments.claimed_maps import ClaimedMaps
from companion.experiments.exhibits import Exhibit, Figure, Note, Table

THE_TWO = ("cam", "mixup_cam")


@dataclass(frozen=True, kw_only=True, eq=False)
class WalkedMaps(ClaimedMaps):
    """Changes of single images from step 1 to step 2."""

    @property
    def with_terms(self) -> tuple[str, str] | None:
        """The rows that Fig. 2.4 compares, mixup with both terms and mixup alone; None where one is not refined."""
        method, mixup = self.every_row["mixup_cam"].name, self.every_row["mixup"].name
        return (method, mixup) if mixup in [row.name for row in self.walked] else None

    def small_before_large_after(self) -> Iterator[Exhibit]:
        """Fig. 2.4 over all images, and the two claims behind it."""
        if not self.refined or not self.with_terms:
            return
        train, refined = self.train, self.refined["train"]
        pairs = refined_images.changes(train, refined, *self.with_terms)
        yield Figure(
            curves.changes(
                [(each.iou, each.refined) for each in pairs],
                ("change of IoU of the map, points", "change of IoU of the refined map, points"),
            ),
            "fig_2_4",
            f"Fig. 2.4: from mixup to mixup with both terms, change of the IoU of each of {len(self.on_train)} images "
            f"of train before (fixed threshold {self.threshold}) and after the random walk; a mark an image and seed, "
            "a line of least squares a seed.",
            "Cloud of points around two crossing zero lines, with one straight line for each seed.",
        )
        yield Table(
            refined_images.named_values(refined_images.of_alike(pairs), "over the images of train"),
            "fig_2_4_alike",
            f"Images whose two maps score alike, within {refined_images.ALIKE:g} point, as in the pairs that the "
            f"thesis shows (0.2 and 0.6 before, 1.1 and 1.2 after), and what the random walk makes of them; "
            f"{len(self.on_train)} images of train, {self.over}.",
            formats={"value": "+.1f"},
        )
        numbers = refined_images.figure_2_4(train, refined, *self.with_terms)
        yield Table(
            refined_images.named_values(numbers, "over the images of train"),
            "fig_2_4_numbers",
            f"Slope and correlations over {len(self.on_train)} images of train, {self.over}. Variation is the "
            "coefficient of variation of the map inside the objects (0: even).",
            formats={"value": "+.2f"},
        )
        steep, uneven = numbers[refined_images.SLOPE], numbers[refined_images.UNEVEN]
        if steep and uneven:
            beyond = mean_interval([value - 1 for value in steep.values])
            larger = "Refinement enlarges differences between maps: slope above 1 (difference to 1 shown)"
            even = "The more even map gains more from refinement: negative correlation with the change in variation"
            yield from families.corrected(
                [judged(larger, beyond, "", format="+.2f"), judged(even, uneven, "", sign=-1, format="+.2f")]
            )

    def alike_before(self) -> Figure | Note:
        """Fig. 2.4: the pairs at fixed quantiles of the refined change among all whose maps score alike."""
        if not self.refined or not self.with_terms:
            return Note("The pairs of Fig. 2.4 need refined maps of mixup and of Mixup-CAM.")
        first = refined_images.changes(self.train, self.refined["train"], *self.with_terms)[0]
        chosen = measures.nearest_to_quantiles(refined_images.alike(first), refined_images.SHOWN)
        if not chosen:
            return Note(f"No two maps score alike, within {refined_images.ALIKE:g} point, so no pair is shown.")
        quantiles = ", ".join(f"{quantile:g}" for quantile in refined_images.SHOWN)
        changed = ", ".join(f"{first.iou[i]:+.1f} to {first.refined[i]:+.1f}" for i in chosen)
        shown = image_grids.examples(self.on_train, chosen, self.of_first_seed(self.of(("mixup", "mixup_cam"))))
        return Figure(
            image_grids.compare(shown, self.threshold),
            "fig_2_4_pairs",
            f"Fig. 2.4: of the images whose maps score alike, within {refined_images.ALIKE:g} point, those whose "
            f"change after the random walk is nearest to its quantiles {quantiles}; first seed. Change of IoU from "
            f"mixup to Mixup-CAM before and after the walk, from the top: {changed}.",
            "Images with their masks and the response maps of mixup and of Mixup-CAM.",
        )

    def whom_the_walk_helps(self) -> Iterator[Exhibit]:
        """Images in thirds by the response of their background; the truth explains here, it does not choose."""
        if not self.refined:
            return
        train, refined, images = self.train, self.refined["train"], len(self.on_train)
        measure = partial(refined_images.background_response, images=self.on_train)
        responses = self.measured("background response", measure, [row.name for row in self.of(THE_TWO)])
        asked = []
        for row in self.of(THE_TWO):
            runs = train[row.name], refined[row.name], responses[row.name]
            yield Table(
                refined_images.by_background(*runs),
                f"walk_{row.name.replace('-', '_')}",
                f"{row.name}: images of train in thirds by the mean response of their background, before and after the "
                f"random walk, in per cent; {images} images, {self.over}.",
                formats={"walk adds": "+.1f"},
            )
            text = (
                f"The walk adds more where the background responds weakly ({row.name}, weakest against strongest third)"
            )
            asked.append(judged(text, refined_images.weakest_above_strongest(*runs)))
        yield from families.corrected(asked)
        alpha = self.settings.affinity.walk_alpha
        yield Note(
            f"With the power {alpha:g} of this run an even region stops being background at a mean response of "
            f"{refined_images.flip_response(alpha):.2f}."
        )
        cells = [-(-side // self.settings.backbone.stride) for side in self.on_train.size(0)]
        yield Note(
            f"A map of {cells[0]} × {cells[1]} cells: {refined_images.share_of_sources(*cells):.0%} of them are the "
            f"source of a pair of radius 5, against {refined_images.share_of_sources(47, 63):.0%} of a map of VOC "
            "(47 × 63); the cells at its sides and bottom have affinities to fewer neighbours."
        )
