"""Shell scripts, programs and paths of a sandbox, read as text."""
