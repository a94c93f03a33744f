"""How a secret may look: as it is, as JSON, Python and URLs write it, in hex, and in base64 inside any other text."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

from taskcal.redact.views import views

SHORTEST = 8
"""Bytes below which innocent text could hold a form by chance: broken into lines, encoded, or a part of it."""
SHORTEST_IN_HEX = 6
URL_SAFE = bytes.maketrans(b"+/", b"-_")


def literal_forms(secret: str) -> set[bytes]:
    """What is looked for as it is: a secret of any length, and each spelling of one too short for a view."""
    return spellings(secret) if len(secret) < SHORTEST else {_bytes(secret)}


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, and as programs quote it."""
    data = _bytes(secret)
    in_json = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    in_python = repr(secret)[1:-1], ascii(secret)[1:-1]
    return {data, *map(_bytes, (*in_json, *in_python, quote(data, safe=""), quote_plus(data)))}


def plain_forms(secret: str) -> set[bytes]:
    """What of it stands in a view of a text that holds it, in itself or in base64."""
    whole = {view.text for text in spellings(secret) for view in views(text)}
    coded = {form for text in spellings(secret) for form in base64_forms(text)}
    return {form for form in whole | coded if len(form) >= SHORTEST}


def base64_forms(value: bytes) -> set[bytes]:
    """What is sure to stand in any base64 text that a value is a part of, as in a header for basic authentication.

    Where it begins within three bytes decides how it looks; the characters at both ends hold bits of its neighbours.
    """
    forms = {
        base64.b64encode(bytes(before) + value)[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]
        for before in range(3)
    }
    return forms | {form.translate(URL_SAFE) for form in forms}


def hex_forms(secret: str) -> set[bytes]:
    """What of it stands in the view for hex digits."""
    return {text.hex().encode() for text in spellings(secret) if len(text) >= SHORTEST_IN_HEX}


def _bytes(text: str) -> bytes:
    """As the process got it: a variable may hold bytes that are not UTF-8."""
    return text.encode(errors="surrogateescape")
