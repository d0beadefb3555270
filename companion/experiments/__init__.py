"""One file a result of the thesis: rows, claims, stages, tables and captions."""
