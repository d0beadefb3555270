"""Image labels as people have them: tables, class folders, and the files of other projects and labelling tools."""
