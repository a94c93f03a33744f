"""This host: other programs, packages, the container engine's daemon, files and temporary folders."""
