"""The networks of the thesis and the files that hold their weights."""
