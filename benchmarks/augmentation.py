"""Images a second that one core augments, the crop cut out last as published or first (`augmentation.order`).

`OMP_NUM_THREADS=1 python benchmarks/augmentation.py`: images of 500 x 375 as of VOC, enlarged random noise, with the
settings of the classifier at crop 448 (chapter 2), at crop 224 (chapter 3), and of DeepLab at crop 321. Reading the
files is not in it.
"""

import time
from typing import Any

import numpy as np
import torch
from PIL import Image

from thesislib.data.augmentation import Augmentation
from thesislib.data.transforms import augment

HEIGHT, WIDTH, IMAGES = 375, 500, 60
DEEPLAB = {"long_side": None, "scales": (0.5, 0.75, 1, 1.25, 1.5), "jitter": (0, 0, 0, 0)}
SETTINGS: dict[int, dict[str, Any]] = {448: {}, 224: {}, 321: DEEPLAB}
REPEATS = 5


def picture(seed: int) -> np.ndarray:
    """Noise of 50 x 38 pixels, enlarged."""
    noise = np.random.default_rng(seed).integers(0, 256, (38, 50, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def rate(pictures: list[np.ndarray], settings: Augmentation) -> float:
    """Images a second, the best of some repeats; the same draws in each."""
    seconds = []
    for _ in range(REPEATS):
        rng, start = np.random.default_rng(0), time.process_time()
        for image in pictures:
            augment(image, rng, settings)
        seconds.append(time.process_time() - start)
    return len(pictures) / min(seconds)


def main() -> None:
    """Print a line for each crop."""
    torch.set_num_threads(1)
    pictures = [picture(seed) for seed in range(IMAGES)]
    print(f"images a second, one core\n{'crop':>5} {'published':>10} {'crop first':>11} {'times':>6}")
    for crop, chosen in SETTINGS.items():
        published, first = (
            rate(pictures, Augmentation(crop=crop, **chosen, order=order)) for order in ("published", "crop_first")
        )
        print(f"{crop:5} {published:10.0f} {first:11.0f} {first / published:6.2f}")


if __name__ == "__main__":
    main()
