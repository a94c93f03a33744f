"""One task with several sets of params."""
