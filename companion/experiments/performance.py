"""What the thesis costs and how fast it is: which results of `gpu_check` are shown beside the counted operations.

The thesis names its GPU (12 GB) and neither times nor memory. Nothing is computed here; what is counted and how
results are shown is `companion.cost`, which asks the other experiments for their stages.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from companion.analysis import gpu_results
from companion.analysis.gpu_results import Record
from companion.experiments.experiment import Experiment
from companion.pipeline.store import Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class Performance(Experiment):
    """The costs of every table and figure, and what a GPU reached.

    Args:
        results: file of `gpu_check`; empty takes the newest in `benchmarks/gpu`.
    """

    notebook: ClassVar = "51_performance"

    results: str

    def stages(self) -> list[Stage]:
        """Nothing, since operations are counted and times were measured elsewhere.

        Raises:
            ValueError: a file of results was named that cannot be read.
        """
        if self.results:
            gpu_results.chosen(self.results)
        return []

    @cached_property
    def record(self) -> Record | None:
        """What was measured; None where no GPU was."""
        return gpu_results.chosen(self.results)

    @property
    def measured_on(self) -> str:
        """Which GPU was measured when and with which code, to end a caption with; empty where none was."""
        if self.record is None:
            return ""
        return f"{gpu_results.device(self.record)}, {self.record['started'][:10]}, commit {self.record['commit']}"

    @property
    def data_note(self) -> str:
        counted = "no images: operations are counted for images of 500 x 375, the commonest size of VOC"
        return f"{counted}; measured on {self.measured_on}" if self.measured_on else counted
