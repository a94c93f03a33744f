"""What a hostile input may not bring about."""

from __future__ import annotations


class Wrong(Exception):
    """A case did what it must not."""


def idle(prompt: str, sandbox: object, seed: int) -> str:
    """An agent that does nothing, for agent files to name."""
    return f"{prompt}{sandbox}{seed}"
