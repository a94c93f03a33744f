"""Secrets stay out of what is stored, however the stream that holds them is cut."""

from __future__ import annotations

import base64
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.redact import Redactor, encoded

KEY = "sk-0123456789abcdef"
FEW = st.text(alphabet="abc", min_size=1, max_size=6)
SECRETS = st.dictionaries(st.sampled_from(["KEY", "A", "abc", "TOKEN"]), FEW, max_size=4)


def streamed(secrets: dict[str, str], chunks: list[bytes]) -> bytes:
    """What reaches the sink."""
    said: list[bytes] = []
    redactor = Redactor(secrets, said.append)
    for chunk in chunks:
        redactor.write(chunk)
    redactor.close()
    return b"".join(said)


@pytest.mark.parametrize("cut", range(1, len(KEY)))
def test_a_secret_cut_by_a_chunk_is_replaced(cut: int) -> None:
    """At every place where it can be cut."""
    data = f"the key is {KEY}, twice {KEY}\n".encode()
    at = data.index(KEY.encode()) + cut
    assert streamed({"API_KEY": KEY}, [data[:at], data[at:]]) == b"the key is [API_KEY], twice [API_KEY]\n"


def test_bytes_one_by_one() -> None:
    """The finest cut there is."""
    data = f"{KEY}{KEY} sk-0123 {KEY[:-1]}".encode()
    chunks = [data[place : place + 1] for place in range(len(data))]
    assert streamed({"K": KEY}, chunks) == f"[K][K] sk-0123 {KEY[:-1]}".encode()


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
    assert streamed(secrets, chunks) == Redactor(secrets, lambda _: None).clean(data)


@given(secrets=SECRETS, text=st.text(alphabet="abcd"))
def test_no_secret_is_left(secrets: dict[str, str], text: str) -> None:
    """Outside the names in brackets no value can be read any more, unless a replacement made its ends meet."""
    clean = Redactor(secrets, lambda _: None).clean(text.encode()).decode()
    left = re.split(r"\[(?:KEY|A|abc|TOKEN)\]", clean)
    assert all(value not in part for part in left for value in secrets.values())


def test_without_secrets_everything_passes_at_once() -> None:
    """Nothing is held back where there is nothing to hide."""
    said: list[bytes] = []
    redactor = Redactor({}, said.append)
    redactor.write(b"live output")
    assert said == [b"live output"]
    redactor.close()
    redactor.close()
    assert said == [b"live output"]


def test_what_is_held_back_is_short() -> None:
    """Only what a secret may begin with waits for more, so that a log is live and two streams keep their order."""
    said: list[bytes] = []
    redactor = Redactor({"K": KEY}, said.append)
    redactor.write(b"x" * 1000 + KEY.encode()[:3])
    assert b"".join(said) == b"x" * 1000
    redactor.write(b"!")
    assert b"".join(said) == b"x" * 1000 + KEY.encode()[:3] + b"!"


@pytest.mark.parametrize("value", ["a.b*c", "[x](y)", "\\d+", "^$", "ä\N{SNOWMAN}", "two\nlines"])
def test_a_secret_is_no_pattern(value: str) -> None:
    """Its characters are themselves, in UTF-8."""
    assert streamed({"K": value}, [f"<{value}> axb*c".encode()]) == b"<[K]> axb*c"


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("after", ["", "1", "12", "123"])
def test_a_secret_in_base64_is_replaced(before: str, after: str) -> None:
    """Wherever it begins, as curl prints it for basic authentication; a short one is left, which could be anything."""
    secret = f"plain>{KEY}?"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = b"Basic " + encode(f"{before}{secret}{after}".encode())
        clean = Redactor({"KEY": secret}, lambda _: None).clean(text)
        assert b"[KEY]" in clean
        assert len(clean) < len(b"Basic [KEY]") + 15
    assert encoded("abc") == set()
