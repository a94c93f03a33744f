"""What must be ready before the first rollout of a group: its images, tried once."""
