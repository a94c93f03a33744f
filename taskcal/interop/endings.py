"""How a row of somebody's table says that a rollout ended, in our words."""

from __future__ import annotations

from taskcal.core.rollout import Lost, Stop
from taskcal.errors import Boundary
from taskcal.interop import cells

LONGEST_REASON = 500


def stop_in(value: object) -> Stop:
    """Why an agent ended. Raises CellError for another word."""
    word = cells.text_in(value).lower().replace("_", "-")
    if word not in set(Stop):
        raise cells.CellError(f"{cells.quote_value(value)} is none of {', '.join(Stop)}")
    return Stop(word)


def loss_from(otherwise: str, *texts: str) -> Lost:
    """A loss at the boundary that one of the texts names, for the reason that the others give."""
    words = {text: text.lower().replace("_", "-") for text in texts if text != cells.TRUE and text}
    boundary = next((Boundary(word) for word in words.values() if word in set(Boundary)), Boundary.UNKNOWN)
    reason = ": ".join(text for text, word in words.items() if word not in set(Boundary))
    return Lost(boundary, (reason or otherwise)[:LONGEST_REASON])
