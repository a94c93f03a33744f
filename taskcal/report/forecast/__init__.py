"""The result of taskcal simulate, in each of its formats."""
