"""The tools of a task: functions for chat agents, programs on PATH for the others."""
