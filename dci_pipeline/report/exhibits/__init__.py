"""One renderer per kind of drawing: rows of an exhibit to a block of the page. Nothing here knows an exhibit."""
