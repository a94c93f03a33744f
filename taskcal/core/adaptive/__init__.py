"""The planner of an adaptive run: which task gets the next rollout, and when a task has had enough."""
