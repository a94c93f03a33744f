"""How a taskset is written in YAML, as models that check it."""
