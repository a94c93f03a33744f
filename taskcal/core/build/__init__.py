"""What a build takes: Dockerfiles and ignore files, read as text."""
