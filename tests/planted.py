"""A secret that a test plants: the ways in which programs write it, and how to find it again in what a run left."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable

PART = 12
"""Characters in a row that are a trace of a secret."""

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "json of Go and PHP": lambda text: json.dumps(text).replace("/", "\\/").replace("+", "\\u002b"),
    "json in json": lambda text: json.dumps({"a": json.dumps([text])}),
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "shell": lambda text: "".join(f"\\{c}" if c in " \"\\'+%&" else c for c in text),
    "url": lambda text: quote(text, safe=""),
    "url in lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "form": quote_plus,
    "url in json in url": lambda text: quote(json.dumps(quote(text)), safe=""),
    "every character escaped": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "every other one": lambda text: "".join(
        f"\\u{ord(c):04x}" if at % 2 and ord(c) < 65536 else c for at, c in enumerate(text)
    ),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "xxd -p": lambda text: re.sub("(.{60})", "\\1\n", f"{'a':60}{text.encode().hex()}"),
    "od": lambda text: "\n".join(" " + part.hex(" ") for part in parts(f"before{text}".encode(), 16)),
    "hex with colons": lambda text: text.encode().hex(":"),
    "an array of C": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, one before": lambda text: base64.b64encode(b"x" + text.encode() + b"xx").decode(),
    "base64, two before": lambda text: base64.b64encode(b"xx" + text.encode() + b"x").decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"??" + text.encode()).decode(),
    "base64 in lines of 76": lambda text: base64.encodebytes(b"x" * 40 + text.encode() * 3).decode(),
    "base64 in lines of 64": lambda text: "\r\n".join(parts(base64.b64encode(b"x" * 41 + text.encode()).decode(), 64)),
    "base64 in lines, as repr": lambda text: repr(base64.encodebytes(b"x" * 50 + text.encode())),
    "base64 in lines, joined": lambda text: " | ".join(parts(base64.b64encode(text.encode()).decode(), 10)),
    "base64 in a URL": lambda text: quote(base64.b64encode(b"u:" + text.encode()).decode(), safe=""),
    "base64 of json": lambda text: base64.b64encode(json.dumps({"key": text}).encode()).decode(),
    "broken into lines": lambda text: "\n".join(parts(text, 7)),
}
"""Ways in which programs write a text without meaning to hide it."""


Text = TypeVar("Text", str, bytes)


def parts(text: Text, size: int) -> list[Text]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def windows(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(len(text) - size + 1)]


def traces(data: bytes, secret: str) -> list[str]:
    """The parts of a secret that can be read in some data, as it is, in hex or in base64, however it is broken."""
    text = data.decode(errors="replace").replace("\\n", "")
    bare = re.sub(r"[\s|]", "", text)
    digits = re.sub(r"0x|[:,-]", "", bare).lower()
    value = secret.encode()
    coded = [base64.b64encode(b"x" * before + value).decode()[before and 4 : -4] for before in range(3)]
    written = {secret, json.dumps(secret)[1:-1], quote(secret), *coded}
    return [part for one in written for part in windows(one, PART) if part in bare] + [
        part for part in windows(value.hex(), 2 * PART) if part in digits
    ]
