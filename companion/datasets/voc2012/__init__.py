"""PASCAL VOC 2012 with SBD's lists: fetched, extracted, verified."""
