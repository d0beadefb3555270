"""The presets, which choose data and scale, and the profile of the thesis' text, as settings by dotted name.

What they leave out has the defaults of `settings`: those of the published code on PASCAL VOC 2012 (thesis 2.4.1 and
3.4.1, preset `voc2012`). The demo and its smoke test are ours; nothing here corresponds to published code.
"""

from typing import Any

# The demo's own recipe, chosen with the plain CAM alone; see companion/datasets/demo/generator.py for the numbers behind it.
DEMO: dict[str, Any] = {
    "data.source": "generated",
    "data.trainaug": 320,
    "data.train": 104,
    "data.val": 104,
    "data.test": 16,
    "backbone.width": 1 / 32,
    "backbone.stride": 4,
    "backbone.dilations": (1, 1),
    "pretext.optimiser": "adamw",
    "pretext.schedule": "one_cycle",
    "pretext.learning_rate": 3e-3,
    "pretext.weight_decay": 1e-4,
    "pretext.batch_size": 16,
    "pretext.epochs": 14,
    "classifier.optimiser": "adamw",
    "classifier.schedule": "one_cycle",
    "classifier.learning_rate": 4e-3,
    "classifier.weight_decay": 1e-4,
    "classifier.new_layer_factor": 5,
    "classifier.batch_size": 32,
    "classifier.epochs": 14,
    "classifier.augmentation.long_side": (44, 72),
    "classifier.augmentation.crop": 48,
    "classifier.augmentation.jitter": (0.2, 0.2, 0.2, 0),
    "classifier.concentration_form": "floored",
    "subcategories.k": 5,  # 11 images a cluster; VOC has 27 in its smallest class with K = 10
    "subcategories.crop": 48,
    "subcategories.epochs": 14,
    "subcategories.used": (),
    "subcategories.checkpoints": (5, 10, 14),
    "subcategories.grid": (1, 2, 5, 10, 16),
    "affinity.split": "train",
    "affinity.epochs": 12,
    "affinity.log2_steps": 5,  # as far, relative to a map of 16 cells, as 2^8 steps on VOC's 47 cells
    "affinity.optimiser": "adamw",
    "affinity.schedule": "one_cycle",
    "affinity.learning_rate": 4e-3,
    "affinity.weight_decay": 1e-4,
    "affinity.new_layer_factor": 5,
    "affinity.augmentation.crop": 64,
    "affinity.augmentation.jitter": (0.2, 0.2, 0.2, 0),
    "crf.scale_factor": 6,
    "segmentation.optimiser": "adamw",
    "segmentation.schedule": "one_cycle",
    "segmentation.learning_rate": 3e-3,
    "segmentation.weight_decay": 1e-4,
    "segmentation.new_layer_factor": 1,
    "segmentation.batch_size": 16,
    "segmentation.accumulate": 1,
    "segmentation.update_interval": 1,
    "segmentation.epochs": 8,
    "segmentation.init": "random",  # no ImageNet here: nothing is downloaded, and no published file is this small
    "segmentation.blocks": (1, 1, 1, 1),
    "segmentation.width": 1 / 16,
    "segmentation.stride": 4,
    "segmentation.dilations": (2, 2),
    "segmentation.rates": (1, 2, 4, 6),
    "segmentation.frozen": False,
    "segmentation.augmentation.scales": (0.75, 1, 1.25),
    "segmentation.augmentation.crop": 48,
}
SMOKE = DEMO | {
    "data.trainaug": 12,
    "data.train": 6,
    "data.val": 8,
    "data.test": 4,
    "pretext.images": 64,
    "pretext.epochs": 1,
    "classifier.epochs": 2,
    "classifier.batch_size": 4,
    "subcategories.k": 2,
    "subcategories.epochs": 2,
    "subcategories.checkpoints": (1, 2),
    "subcategories.grid": (1, 2, 3),
    "cam.scales": (1, 0.5),
    "affinity.batch_size": 4,
    "affinity.epochs": 1,
    "segmentation.batch_size": 4,
    "segmentation.epochs": 1,
}
PRESETS: dict[str, dict[str, Any]] = {"smoke": SMOKE, "demo": DEMO, "voc2012": {}}

# What the thesis prints where the published code does something else (S3, S4); applies at paper scale.
TEXT_PROFILE: dict[str, Any] = {
    "classifier.optimiser": "adam",
    "classifier.learning_rate": 1e-3,
    "classifier.new_layer_factor": 1,
    "classifier.feature_channels": 512,
}
