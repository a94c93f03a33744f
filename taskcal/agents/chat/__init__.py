"""The chat agent: a model behind an OpenAI-compatible endpoint, in a loop with tools."""
