"""The run's folder: what is written there, how it is read back, and how strangers' files are read."""
