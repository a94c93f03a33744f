"""From typed options and the project's configuration to values."""
