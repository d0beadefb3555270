"""What the argument of Table 3.2 says of clusters round after round, and what became of it.

Thesis section 3.4.2. Agreement is normalised mutual information.
"""

from collections.abc import Iterator

from companion.analysis import cluster_scores
from companion.analysis.claims import Verdict, judged
from companion.analysis.cluster_scores import Quality

IMPROVE = (
    ("The clusters are better separated (silhouette)", cluster_scores.SILHOUETTE, 1),
    ("The clusters settle: successive labels agree more (AMI)", cluster_scores.AMI_BEFORE, 2),
    ("The clusters come closer to the true sub-types (AMI)", cluster_scores.AMI_TRUE, 1),
)
"""What the argument of the thesis rests on: the claim, its score, and the first round that has one."""


def judged_clusters(quality: Quality, rounds: int) -> Iterator[Verdict]:
    """Whether the clusters become better, and whether they agree with the true sub-types where these are known."""
    for text, name, first in IMPROVE:
        for later in (rounds, rounds + 1):
            change = cluster_scores.change(quality, name, first, later) if later > first else None
            if change:
                others = cluster_scores.in_words(quality, name, first, later)
                untrained = ", not trained" if later > rounds else ""
                claim = f"{text}: labels of round {first} to those of round {later}{untrained}"
                yield judged(claim, change, others, format="+.2f")
    for number in (1, rounds + 1):
        beyond = cluster_scores.overall(quality, cluster_scores.AMI_TRUE, number)
        if beyond:
            claim = f"The labels of round {number} agree with the true sub-types better than chance (AMI)"
            yield judged(claim, beyond, format="+.2f")
            pair = cluster_scores.AMI_TRUE, cluster_scores.AMI_OTHERS
            apart = cluster_scores.further(quality, *pair, number)
            claim = f"The labels of round {number} follow the true sub-types more than the company"
            yield judged(f"{claim} (AMI)", apart, format="+.2f")
