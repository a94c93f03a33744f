"""The images of a run, and the trial of each environment before its first rollout."""
