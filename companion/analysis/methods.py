"""The methods that several results compare, as rows: plain CAM, Mixup-CAM, and the fully supervised upper bound."""

from collections.abc import Iterable
from typing import Any

from companion.analysis.claims import Claim, Row

ALPHA, LAMBDA_ENT, LAMBDA_CON = 0.2, 0.02, 2e-4  # thesis 2.4.1


def regularisers(alpha: float = 0, lambda_ent: float = 0, lambda_con: float = 0) -> dict[str, Any]:
    """The three regularisers of chapter 2 as settings; 0 leaves one out."""
    return {
        "classifier.mixup_alpha": alpha,
        "classifier.lambda_ent": lambda_ent,
        "classifier.lambda_con": lambda_con,
    }


PLAIN_CAM = Row("CAM", regularisers(), "AffinityNet (plain CAM)")
MIXUP_CAM = Row("Mixup-CAM", regularisers(ALPHA, LAMBDA_ENT, LAMBDA_CON), "Mixup L_cls + L_ent + L_con")
SUPERVISED = Row("fully supervised", {"segmentation.supervision": "truth"}, control=True)


def against_plain(claims: Iterable[Claim]) -> list[Claim]:
    """The claims that a row scores above plain CAM."""
    return [claim for claim in claims if claim.reference.name == PLAIN_CAM.name]
