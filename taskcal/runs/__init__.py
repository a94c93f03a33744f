"""One whole run, without a terminal."""
