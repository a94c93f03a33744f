"""YAML text becomes a frozen `Taskset` here, or a list of mistakes with file, line and key."""
