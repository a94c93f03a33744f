"""One module per format; each returns a string, lines or a rich renderable, and none of them prints."""
