"""Who attempts a task: the agents, and the small protocol that they obey."""
