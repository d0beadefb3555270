"""Images, labels and masks in VOC layout, the demo generator, and the training augmentations."""
