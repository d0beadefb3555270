"""Where images come from: the demo's generator, PASCAL VOC 2012, folders of people's own, and their checks."""
