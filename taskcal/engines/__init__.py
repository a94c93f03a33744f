"""Who calls `run_rollout`, and where."""
