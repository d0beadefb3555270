"""What the thesis costs: operations counted, and what a GPU measured."""
