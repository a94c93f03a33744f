"""Prompts and values with params in them."""
