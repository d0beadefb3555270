"""An executable companion to Chang (2020), "Weakly-Supervised Semantic Segmentation via Self-Regularization"."""
