"""Results in the files of other projects, for the VOC server, and anybody's results scored."""
