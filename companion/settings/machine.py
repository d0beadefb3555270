"""Where and how a stage runs, from arguments and from the THESIS_* environment variables."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, ValidationError

from companion.settings.base import Frozen
from companion.settings.names import SettingsError


def _from_environment(name: str, default: Any) -> Any:
    return Field(default_factory=lambda: os.environ.get(name, default))


def _in_words(problem: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """One problem, with the environment variable where the value came from there."""
    name = str(problem["loc"][0])
    source = name if name in given else f"the environment variable THESIS_{name.upper()}"
    return f"{source} = {problem['input']!r}: {problem['msg']}"


class Machine(Frozen):
    """Where and how a stage runs; never decides a number's meaning and is not part of any key.

    Attributes:
        data_root: folder in VOC layout; empty: the generated demo data.
        device: `auto`, `cpu` or `cuda`; default the environment variable THESIS_DEVICE.
        precision: `fp32` or `bf16` (autocast, in training and outside it); default THESIS_PRECISION, else fp32.
        compile: whether networks are trained through torch.compile, which needs a C++ compiler and changes roundings;
            default THESIS_COMPILE (0 or 1), else not.
        data_workers: processes that load training images or run the CRF; default THESIS_DATA_WORKERS.
        batch_pixels: pixels of the images of one size that go through a network together outside training, at least
            one image; default THESIS_BATCH_PIXELS, else eight images of the demo or one of VOC.
        checkpoint_minutes: least time between checkpoints of a stage; default THESIS_CHECKPOINT_MINUTES, else 5.
        crf: whether it has the dense CRF's library; None: look for it here, where stages are planned.

    Raises:
        SettingsError: a value that is not allowed; names the variable.
    """

    data_root: str = ""
    device: Literal["auto", "cpu", "cuda"] = _from_environment("THESIS_DEVICE", "auto")
    precision: Literal["fp32", "bf16"] = _from_environment("THESIS_PRECISION", "fp32")
    compile: bool = _from_environment("THESIS_COMPILE", False)
    data_workers: Annotated[int, Field(ge=0)] = _from_environment("THESIS_DATA_WORKERS", 0)
    batch_pixels: Annotated[int, Field(ge=1)] = _from_environment("THESIS_BATCH_PIXELS", 2**15)
    checkpoint_minutes: Annotated[float, Field(ge=0)] = _from_environment("THESIS_CHECKPOINT_MINUTES", 5)
    crf: StrictBool | None = None

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise SettingsError("; ".join(_in_words(problem, given) for problem in error.errors())) from None

    @property
    def torch_device(self) -> str:
        """`cuda` where there is a GPU and it was not declined, else `cpu`."""
        if self.device != "auto":
            return self.device
        import torch  # takes seconds, which commands that compute nothing do without

        return "cuda" if torch.cuda.is_available() else "cpu"
