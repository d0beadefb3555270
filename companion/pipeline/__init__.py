"""Stages, their store, and the engine that runs them."""
