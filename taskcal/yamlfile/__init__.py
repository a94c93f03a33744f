"""Any YAML file that people write for taskcal: read within bounds, with the line of every mistake."""
