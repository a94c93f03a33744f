"""Any YAML file or table that people write for taskcal: read within bounds, with the line of every mistake."""
