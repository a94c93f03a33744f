"""What the rollouts of a task say about it, up to its verdict."""
