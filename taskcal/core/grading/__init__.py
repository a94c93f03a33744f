"""From what the checks saw to a reward."""
