"""Other people's results as taskcal's own: tables of rewards today."""
