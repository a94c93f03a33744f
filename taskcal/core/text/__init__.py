"""Text and JSON from models, servers and programs that nobody here controls."""
