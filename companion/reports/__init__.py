"""Executed notebooks as reports, and the pages that hold them together."""
