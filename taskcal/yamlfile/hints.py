"""What an unknown key was probably meant to be: a hint of the model for the words of others, else the nearest key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.yamlfile.problems import suggest

if TYPE_CHECKING:
    from taskcal.yamlfile.fields import Model


def did_you_mean(key: str, *words: str) -> dict[str, str]:
    """Map each of `words` to the question whether `key` was meant, for the `hints` of a model."""
    return dict.fromkeys(words, f"did you mean {key}?")


def unknown_key(key: str, model: type[Model]) -> str:
    """Report that maps of this model have no `key`, with the model's hint for it or the nearest key."""
    hint = model.hints.get(key.lower().replace("-", "_"))
    if hint:
        return f"unknown key, {hint}"
    known = model.known_keys()
    return f"unknown key{suggest(key, known) or '; known are ' + ', '.join(known)}"
