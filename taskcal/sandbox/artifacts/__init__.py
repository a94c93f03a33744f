"""Files that an agent leaves and a fresh container receives."""
