"""Dense conditional random field: sharpens per-pixel class probabilities along the edges of the image.

Thesis sections 2.3.3, 2.4 and 3.4; Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian
Edge Potentials", 2011. Corresponds to `tool/imutils.py::crf_inference` of jiwoon-ahn/psa, `misc/imutils.py` of
jiwoon-ahn/irn and `libs/utils/crf.py` of kazuto1011/deeplab-pytorch, which all call pydensecrf.

Deliberate differences: one function with named parameter sets; the raw RGB image is used at test time too (the
published DeepLab command wraps a mean-subtracted image to 8 bits, misprint S22).
"""

from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor, as_tensor

Array = TypeVar("Array", np.ndarray, Tensor)


class CrfMissing(ImportError):
    """The library behind the dense CRF is not installed."""


@dataclass(frozen=True, kw_only=True)
class CrfParams:
    """Two Potts kernels, w exp(-|dp|^2 / 2 sigma^2) and w exp(-|dp|^2 / 2 sigma_xy^2 - |dI|^2 / 2 sigma_rgb^2).

    Attributes:
        iterations: of mean field.
        spatial_sigma: pixels, of the kernel that removes specks.
        spatial_weight: 0 leaves that kernel without effect.
        bilateral_sigma_xy: pixels, of the kernel that follows colour edges.
        bilateral_sigma_rgb: colour difference, on a scale of 0-255.
        bilateral_weight: 0 leaves that kernel without effect.
        scale_factor: divides both distances in pixels, for an image that many times smaller than those they are for.
    """

    iterations: int = 10
    spatial_sigma: float
    spatial_weight: float
    bilateral_sigma_xy: float
    bilateral_sigma_rgb: float
    bilateral_weight: float
    scale_factor: float = 1

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"CRF iterations must be at least 1, got {self.iterations}")
        for name in ("spatial_sigma", "bilateral_sigma_xy", "bilateral_sigma_rgb", "scale_factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"CRF {name} must be positive, got {getattr(self, name)}")
        for name in ("spatial_weight", "bilateral_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"CRF {name} must not be negative, got {getattr(self, name)}")


PSA = CrfParams(spatial_sigma=3, spatial_weight=3, bilateral_sigma_xy=80, bilateral_sigma_rgb=13, bilateral_weight=10)
"""psa, SC-CAM and SEAM on response maps; here also on random-walk scores (A20)."""
IRN = CrfParams(spatial_sigma=3, spatial_weight=3, bilateral_sigma_xy=50, bilateral_sigma_rgb=5, bilateral_weight=10)
"""irn on thresholded labels, given as a probability of 0.7 for the label and the rest shared by the others."""
DEEPLAB = CrfParams(spatial_sigma=1, spatial_weight=3, bilateral_sigma_xy=67, bilateral_sigma_rgb=3, bilateral_weight=4)
"""deeplab-pytorch on the softmax of the segmentation network at test time."""
CRF_PARAMS = {"psa": PSA, "irn": IRN, "deeplab": DEEPLAB}


def dense_crf(
    image: UInt8[np.ndarray, "height width channels"],
    probabilities: Float[Array, "n rows columns"],
    params: CrfParams,
) -> Float[Array, "n rows columns"]:
    """Mean-field posterior of a dense CRF over an image.

    Args:
        image: RGB `(H, W, 3)`, 0-255.
        probabilities: `(N, H, W)` of N labels, the unary term is their -log. They need not sum to 1; pydensecrf takes
            values below 1e-5 for 1e-5 and values above 1 for 1.
        params: one of `PSA`, `IRN`, `DEEPLAB`, or another `CrfParams`.

    Returns:
        Refined probabilities `(N, H, W)`, float32, which sum to 1 over the labels; array or tensor as given.

    Raises:
        CrfMissing: pydensecrf is not installed.
        ValueError: sizes differ, fewer than two labels, or values that are negative or not finite.
    """
    scores = np.asarray(probabilities.cpu() if isinstance(probabilities, Tensor) else probabilities)
    _check(image, scores)
    labels, height, width = scores.shape
    densecrf, utils = _pydensecrf()
    field = densecrf.DenseCRF2D(width, height, labels)
    field.setUnaryEnergy(utils.unary_from_softmax(scores))
    field.addPairwiseGaussian(sxy=params.spatial_sigma / params.scale_factor, compat=params.spatial_weight)
    field.addPairwiseBilateral(
        sxy=params.bilateral_sigma_xy / params.scale_factor,
        srgb=params.bilateral_sigma_rgb,
        rgbim=np.ascontiguousarray(image),
        compat=params.bilateral_weight,
    )
    refined = np.array(field.inference(params.iterations), np.float32).reshape(scores.shape)
    return as_tensor(refined, device=probabilities.device) if isinstance(probabilities, Tensor) else refined


def crf_missing() -> str:
    """Why the dense CRF cannot run on this machine, and what to do; empty where it can."""
    try:
        _pydensecrf()
    except CrfMissing as error:
        return str(error)
    return ""


def crf_available() -> bool:
    """Whether the library behind the dense CRF is installed."""
    return not crf_missing()


def _pydensecrf() -> tuple[ModuleType, ModuleType]:
    try:
        from pydensecrf import densecrf, utils
    except ImportError as error:
        raise CrfMissing(
            f"the dense CRF needs pydensecrf ({error}). Install it with: pip install pydensecrf2 "
            "(it is compiled on installation, which needs a C++ compiler and the headers of Python)"
        ) from error
    except Exception as error:  # one that was compiled for another NumPy raises ValueError
        raise CrfMissing(
            f"pydensecrf is installed and does not work ({type(error).__name__}: {error}). Compile it anew with: "
            "pip install --force-reinstall --no-cache-dir --no-deps pydensecrf2"
        ) from error
    return densecrf, utils


def _check(image: np.ndarray, probabilities: np.ndarray) -> None:
    if image.shape != (*probabilities.shape[1:], 3):
        raise ValueError(
            f"an image of shape {image.shape} does not belong to probabilities of shape {probabilities.shape}: "
            f"expected {(*probabilities.shape[1:], 3)}; resize the probabilities to the image first"
        )
    if len(probabilities) < 2 or probabilities.size == 0:
        raise ValueError(f"a CRF needs at least two labels and one pixel, got probabilities {probabilities.shape}")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
        raise ValueError("probabilities for the CRF must be finite and not negative")
