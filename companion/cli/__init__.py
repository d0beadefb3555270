"""The `thesis` command, one file a group of sub-commands."""
