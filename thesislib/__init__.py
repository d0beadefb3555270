"""The thesis: Chang (2020), "Weakly-Supervised Semantic Segmentation via Self-Regularization", as a small library.

In the order of the thesis:

| section | what | file |
|---|---|---|
| 2.1, 3.1 | class activation maps (2.1), (3.1) | `cam`, `models.classifier`; of others, `advcam`, `recam` |
| 2.3.1 | mixup (2.2) | `mixup`; what the thesis does not have, `mixing` |
| 2.3.2 | entropy (2.3) and concentration (2.4) | `losses`; not in the thesis, `contrast` and `equivariance` |
| 2.3.2, 3.3.2 | what a batch is trained on (2.5), (3.3) | `objectives`; in steps 2 and 3, `later_objectives` |
| 3.3.2 | clusters and sub-category labels (3.2) | `clustering`; what the thesis does not have, `subcategories` |
| 2.3.3, 3.3.3 | affinity, random walk, dense CRF | `refinement`, `models.affinitynet` |
| 2.4, 3.4 | segmentation network and scores | `models.deeplab`, `metrics` |
| 2.4.1, 3.4.1 | data, augmentation, optimiser | `data`, `optimisation` |

Training is one loop, `training`, over `batches` that can start anywhere; random numbers are a function of seed and step
(`randomness`), so that a run goes on from its `checkpoints` bit for bit. Each whole method is a script in `examples/`.
Nothing here knows of settings, stages, a store or notebooks: that is the `companion`.
"""
