"""Secrets stay out of what is stored, however they are written, and however the text that holds them is cut."""

from __future__ import annotations

import base64
import itertools
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskcal.redact import Redactor
from taskcal.redact.forms import plain_forms
from tests.planted import ENCODINGS, parts, windows

KEY = "sk-0123456789abcdef"
HARD = 'p"4\\ss%41 w\N{SNOWMAN}rd+\N{PILE OF POO}'
TURNED = str.maketrans("0123456789", "5678901234")
FEW = st.text(alphabet="abc", min_size=1, max_size=6)
SECRETS = st.dictionaries(st.sampled_from(["KEY", "A", "abc", "TOKEN"]), FEW, max_size=4)


def streamed(secrets: dict[str, str], chunks: list[bytes]) -> bytes:
    """What reaches the sink."""
    said: list[bytes] = []
    stream = Redactor(secrets).stream(said.append)
    for chunk in chunks:
        stream.write(chunk)
    stream.end()
    return b"".join(said)


def leaks(clean: str, written: str, other: str) -> bool:
    """Whether 12 characters in a row can be read that are of a secret: `other` is written alike, of another one."""
    own = {*windows(written, 4)} - {*windows(other, 4)}
    return any(own.issuperset(windows(row, 4)) for row in windows(clean, 12))


@pytest.mark.parametrize("secret", [KEY, HARD, "tr0ub4dor&3", f"-----BEGIN KEY-----\n{KEY * 3}\n-----END KEY-----\n"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_is_found_in_every_encoding(encoding: str, secret: str) -> None:
    """In a text and in a stream of any chunks; what stands around it stays."""
    written = ENCODINGS[encoding](secret)
    text = f"it said <{written}>, and more"
    clean = Redactor({"KEY": secret}).text(text)
    assert "[KEY]" in clean
    assert not leaks(clean, written, ENCODINGS[encoding](secret.swapcase().translate(TURNED)))
    assert clean.startswith("it said <")
    assert clean.endswith(">, and more")
    for size in (1, 40):
        assert streamed({"KEY": secret}, parts(text.encode(), size)).decode() == clean


@pytest.mark.parametrize("secret", [KEY, HARD])
@pytest.mark.parametrize("encoding", ["plain", "json", "repr", "url", "hex", "base64", "base64 in lines, joined"])
def test_what_a_cut_leaves_is_found(encoding: str, secret: str) -> None:
    """Wherever it cuts, beside a mark or at an end of the text; five characters may stay, escaped or not."""
    written = ENCODINGS[encoding](secret)
    redact = Redactor({"KEY": secret}).text
    for cut in range(len(written)):
        head, tail = written[:cut], written[cut:]
        before = (
            f"exit 1: {head}…",
            f"is '{head}...', not 'b'",
            f"{head}\n[… 12 bytes left out …]\nmore",
            f"the {head}",
        )
        behind = (f"exit 1: …{tail}", f"begin | … | {tail}", f"begin\n[… 12 characters left out …]\n{tail}", tail)
        middle = written[max(0, cut - 10) : cut + 10]
        assert not any(part in clean for clean in map(redact, before) for part in windows(head, 20))
        assert not any(part in clean for clean in map(redact, behind) for part in windows(tail, 20))
        assert len(middle) < 20 or middle not in redact(f"…{middle}…")


@pytest.mark.parametrize("encoding", ["plain", "json", "hex", "base64 in lines of 76"])
def test_two_streams_hide_no_secret_together(encoding: str) -> None:
    """Wherever one of them ends and the other one goes on, in either order; each keeps what else it holds."""
    written, together = ENCODINGS[encoding](KEY), Redactor({"KEY": KEY}).together
    other = ENCODINGS[encoding](KEY.swapcase().translate(TURNED))
    for cut in range(len(written)):
        for first, second in (
            together(f"a {written[:cut]}", f"{written[cut:]} b"),
            reversed(together(f"{written[cut:]} b", f"a {written[:cut]}")),
        ):
            assert not leaks(first, written, other)
            assert not leaks(second, written, other)
            assert first.startswith("a ")
            assert second.endswith(" b")


@pytest.mark.parametrize("cut", range(1, len(KEY)))
def test_a_secret_cut_by_a_chunk_is_replaced(cut: int) -> None:
    """At every place where it can be cut."""
    data = f"the key is {KEY}, twice {KEY}\n".encode()
    at = data.index(KEY.encode()) + cut
    assert streamed({"API_KEY": KEY}, [data[:at], data[at:]]) == b"the key is [API_KEY], twice [API_KEY]\n"


def test_bytes_one_by_one() -> None:
    """The finest cut there is; at the end of the stream, what it has cut is replaced as well."""
    data = f"{KEY}{KEY} sk-0123 {KEY[:5]}".encode()
    assert streamed({"K": KEY}, parts(data, 1)) == b"[K][K] sk-0123 sk-01"
    assert streamed({"K": KEY}, parts(f"timeout at {KEY[:-1]}".encode(), 1)) == b"timeout at [K]"


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_secret_that_begins_like_another(cut: int) -> None:
    """The longer one is replaced whole; not its beginning alone, with the rest left to be read."""
    secrets = {"SHORT": "abc", "LONG": "abcdefgh"}
    data = b"abcdefgh abc"
    assert streamed(secrets, [data[:cut], data[cut:]]) == b"[LONG] [SHORT]"


@given(secrets=SECRETS, text=st.text(alphabet="abcd[]KEY"), cuts=st.lists(st.integers(0, 80), max_size=8))
def test_a_stream_is_cleaned_as_a_whole_is(secrets: dict[str, str], text: str, cuts: list[int]) -> None:
    """Any secrets, any text, any chunks: what was cut comes out as if it had come at once."""
    data = text.encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    chunks = [data[start:end] for start, end in itertools.pairwise(places)]
    assert streamed(secrets, chunks).decode() == Redactor(secrets).text(text)


@given(secrets=SECRETS, text=st.text(alphabet="abcd"))
def test_no_secret_is_left(secrets: dict[str, str], text: str) -> None:
    """Outside the names in brackets no value can be read any more, unless a replacement made its ends meet."""
    left = re.split(r"\[(?:KEY|A|abc|TOKEN)\]", Redactor(secrets).text(text))
    assert all(value not in part for part in left for value in secrets.values())


@given(
    value=st.text(min_size=8, max_size=20),
    before=st.text(max_size=20),
    behind=st.text(max_size=20),
    name=st.sampled_from(sorted(ENCODINGS)),
)
@example(value="\\" * 8, before="\\", behind="", name="json")
@example(value="a%41%42b%", before="%", behind="0", name="url")
@example(value="00000000", before="", behind="X", name="HEX")
@example(value="0000000\x80", before="", behind="000000", name="repr")
def test_any_secret_in_any_text(value: str, before: str, behind: str, name: str) -> None:
    """Whatever it is made of, and whatever stands around it."""
    written = ENCODINGS[name](value)
    if any(len(form) >= 8 for form in plain_forms(value)) and len("".join(value.split())) >= 8:
        clean = Redactor({"KEY": value}).text(f"{before} {written} {behind}")
        assert "[KEY]" in clean
        assert written not in clean


@given(text=st.text(), chunk=st.integers(1, 9))
def test_a_text_without_secrets_stays(text: str, chunk: int) -> None:
    """Byte for byte, in a stream as well."""
    assert Redactor({"KEY": KEY}).text(text) == text
    assert streamed({"KEY": KEY}, parts(text.encode(), chunk)) == text.encode()


def test_without_secrets_everything_passes_at_once() -> None:
    """Nothing is held back where there is nothing to hide."""
    said: list[bytes] = []
    stream = Redactor().stream(said.append)
    stream.write(b"live output")
    assert said == [b"live output"]
    stream.end()
    stream.end()
    assert said == [b"live output"]


def test_what_is_held_back_is_short() -> None:
    """Only what a secret may begin with waits for more, so that a log is live and two streams keep their order."""
    said: list[bytes] = []
    stream = Redactor({"K": KEY}).stream(said.append)
    stream.write(b"x" * 1000 + KEY.encode()[:3])
    assert b"".join(said) == b"x" * 1000
    stream.write(b"!")
    assert b"".join(said) == b"x" * 1000 + KEY.encode()[:3] + b"!"
    stream.write(b"s" + b" \n" * 1000)
    assert b"".join(said).endswith(b"s" + b" \n" * 1000)


@pytest.mark.parametrize("value", ["a.b*c", "[x](y)", "\\d+", "^$", "ä\N{SNOWMAN}", "two\nlines"])
def test_a_secret_is_no_pattern(value: str) -> None:
    """Its characters are themselves, in UTF-8."""
    assert streamed({"K": value}, [f"<{value}> axb*c".encode()]) == b"<[K]> axb*c"


@pytest.mark.parametrize("value", ['a"b', "a b&c", "\\d+", "ä\n"])
def test_a_short_secret_is_found_as_programs_quote_it(value: str) -> None:
    """Not in base64 or in hex, where so few characters could be anything."""
    for encode in (str, json.dumps, repr, quote, quote_plus):
        assert "[K]" in Redactor({"K": value}).text(f"<{encode(value)}>")
    assert Redactor({"K": "abc"}).text(f"{base64.b64encode(b'abc').decode()} {b'abc'.hex()}") == "YWJj 616263"


def test_short_secrets_are_left_in_the_texts_of_taskcal_itself() -> None:
    """A value of `1` would be every number of a table."""
    redactor = Redactor({"ONE": "1", "KEY": KEY})
    assert redactor.text(f"1 of 1 {KEY}") == "[ONE] of [ONE] [KEY]"
    assert redactor.of_long_ones.text(f"1 of 1 {KEY}") == "1 of 1 [KEY]"


def test_a_variable_that_is_not_utf_8() -> None:
    """Its bytes are found in a stream, and in base64."""
    value = b"\xff\xfe-secret-\x80".decode(errors="surrogateescape")
    assert streamed({"K": value}, [b"<\xff\xfe-secret-\x80>"]) == b"<[K]>"
    assert "[K]" in Redactor({"K": value}).text(base64.b64encode(b"\xff\xfe-secret-\x80").decode())
