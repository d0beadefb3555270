"""Figures: curves, image grids and diagrams, one colour a method everywhere."""
