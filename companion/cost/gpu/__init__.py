"""`make gpu-check`: what a GPU achieves with the project's own stages."""
