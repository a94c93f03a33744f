"""Standard streams, progress, interrupts, and the printing of results."""
