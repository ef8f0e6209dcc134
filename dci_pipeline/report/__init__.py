"""Report: what is shown to a reader, computed from the published tables alone.

Pure functions from published rows to rows of an exhibit; how they are drawn belongs to the commands and the documents.
"""
