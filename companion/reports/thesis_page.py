"""What the page "The thesis against here" shows: what is printed, and what was measured beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from companion.analysis.statistics import VERDICTS
from companion.experiments.printed_differences import PrintedDifference
from companion.reports import printed_beside, typeset
from companion.reports.cards import Card
from companion.reports.printed_beside import Answer, Asked, Distance


def values(cards: Sequence[Card], absent: Sequence[Card]) -> dict[str, Any]:
    """The values of its template, from the notebooks that were and were not executed."""
    by_name = sorted(cards, key=lambda card: card.notebook)
    of, records = {card.notebook: card for card in by_name}, [card.record for card in by_name]
    answers = printed_beside.differences(records)
    asked = printed_beside.asked(answers)
    shown = [each for found in asked.values() for line in found for each in line.answers]
    counts = Counter(each.verdict for each in shown if each.decides)
    return {
        "generated": any(record.generated for record in records),
        "levels": {
            source: [_level(each, of) for each in found] for source, found in printed_beside.levels(records).items()
        },
        "differences": {source: [_asked(each, of) for each in found] for source, found in asked.items()},
        "counts": {verdict: counts[verdict] for verdict in VERDICTS},
        "of_few_seeds": sum(not each.decides for each in shown),
        "unanswered": sum(not each.answers for found in asked.values() for each in found),
        "out_of_reach": {
            reason: {source: list(map(_in_words, found)) for source, found in by_source.items()}
            for reason, by_source in printed_beside.out_of_reach().items()
        },
        "absent": sorted(absent, key=lambda card: card.notebook),
    }


def _level(answer: Answer, of: Mapping[str, Card]) -> dict[str, Any]:
    """A score as shown: printed, measured, and how far apart."""
    apart, apart_ends = _texts(answer.distance, "+.1f")
    thesis = typeset.text_of(answer.thesis, ".1f")[0]
    return (
        asdict(answer.place)
        | _measured(answer, of, ".1f")
        | {
            "thesis": thesis,
            "apart": apart,
            "apart_ends": apart_ends,
        }
    )


def _asked(line: Asked, of: Mapping[str, Card]) -> dict[str, Any]:
    """A printed difference as shown, with all that answers it."""
    return asdict(line.printed.place) | {
        "claim": line.printed.claim,
        "thesis": _printed(line.printed),
        "answers": [_measured(each, of, "+.1f") | _said(each) for each in line.answers],
    }


def _said(answer: Answer) -> dict[str, Any]:
    """The verdict, empty of too few seeds, and how a primary claim is read."""
    return {"verdict": answer.verdict if answer.decides else "", "reading": answer.reading}


def _measured(answer: Answer, of: Mapping[str, Card], format: str) -> dict[str, Any]:
    here, interval = _texts(answer.interval, format)
    reports = {name: of[name].html for name in answer.notebooks}
    seeds = answer.measured.n or of[answer.notebooks[0]].record.seeds
    return {"here": here, "interval": interval, "seeds": seeds, "reports": reports}


def _in_words(printed: PrintedDifference) -> str:
    """A printed difference that nothing answers, in short."""
    row, split, thesis = printed.place.row, printed.place.split, _printed(printed)
    return f"{row} ({split}" + (f", {thesis})" if printed.thesis is not None else ")")


def _printed(printed: PrintedDifference) -> str:
    return typeset.MISSING if printed.thesis is None else typeset.text_of(printed.thesis, "+.1f")[0]


def _texts(value: Distance | None, format: str) -> tuple[str, str]:
    return typeset.text_of(value, format) if value is not None else (typeset.MISSING, "")
