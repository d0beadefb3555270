"""The pipeline, one short file per step; each builds a `Stage` and holds the function that computes it."""
