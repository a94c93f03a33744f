"""Secrets stay out of all that leaves: rows, logs, transcripts, reports, and every line for the terminal.

An agent has one redactor, made of all its secrets. It finds a secret as it is, escaped (JSON, Python, URL), in hex and
in base64, broken into lines or not, and what is left of one beside a place where text was cut. Each is replaced by
`[NAME]`. It takes time linear in the text. What a program means to hide, such as half of a key, is not found.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from taskcal.redact.forms import SHORTEST, hex_forms, literal_forms, plain_forms
from taskcal.redact.partial_forms import PartialForms
from taskcal.redact.views import begun_escape, hex_views, views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from taskcal.redact.views import View

    Span = tuple[int, int, bytes]
    """Where something begins and ends that must be replaced, and what by."""

SLACK = 8
"""Bytes of a stream that may be held back for each of the longest form: an escape takes six, and white space some."""


class Forms:
    """What to look for in one kind of view, and the name that each form stands for."""

    def __init__(self, names: Mapping[bytes, bytes]) -> None:
        """`names` maps forms to names in brackets; where one holds another, both are found."""
        self.names = names
        self.longest = max(map(len, names), default=0)
        self._halves = PartialForms(names)

    def whole(self, view: View) -> Iterator[Span]:
        """Each form in a view."""
        for form, name in self.names.items():
            for at in _places(view.text, form, len(form)):
                yield (*view.span(at, at + len(form)), name)

    def cut(self, view: View) -> Iterator[Span]:
        """Each part of a form beside a place where the text was cut."""
        for start, end, form in self._halves.find(view.text):
            yield (*view.span(start, end), self.names[form])

    def cut_at_end(self, view: View) -> Iterator[Span]:
        """The beginning of a form at the end of the text."""
        for start, end, form in self._halves.before_a_cut(view.text, 0, len(view.text)):
            yield (*view.span(start, end), self.names[form])

    def begun(self, text: bytes) -> int:
        """Where the longest end of a view begins that a form may begin with; its length if there is none.

        What comes next may complete an escape, or make `0x` of a 0, which is nothing then.
        """
        sure = begun_escape(text)
        ends = {text, text[:sure], text.removesuffix(b"0")}
        places = (place for end in ends for form in self.names if (place := _begun(end, form)) < len(end))
        return min(places, default=sure)


@dataclass(frozen=True, slots=True)
class SecretSearch:
    """What some data holds: of secrets as they are, and of forms in its views. `longest` bounds what is held back."""

    data: bytes
    literals: Mapping[bytes, bytes]
    views: Sequence[tuple[Forms, View]]
    longest: int

    def whole(self) -> Iterator[Span]:
        """Where secrets stand."""
        yield from _first_and_longest(self.data, self.literals)
        for forms, view in self.views:
            yield from forms.whole(view)

    def cut(self) -> Iterator[Span]:
        """What a cut has left of secrets, anywhere."""
        return (span for forms, view in self.views for span in forms.cut(view))

    def cut_at_end(self) -> Iterator[Span]:
        """What the end has left of one."""
        return (span for forms, view in self.views for span in forms.cut_at_end(view))

    def begun(self) -> int:
        """Where the end of the data begins that a secret may begin with; the length of the data if none does.

        In a view, white space between two characters is nothing, however much there is. So what is further from the
        end than any secret is long has begun nothing.
        """
        places = [_begun(self.data, literal_forms) for literal_forms in self.literals]
        places += (view.place(forms.begun(view.text)) for forms, view in self.views)
        begun = min(places, default=len(self.data))
        return begun if len(self.data) - begun <= self.longest else len(self.data)


@dataclass(frozen=True)
class Redactor:
    """Replaces secrets, given as values by their names, by `[NAME]`; values are never empty."""

    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def text(self, text: str) -> str:
        """A whole text without secrets, and without what a cut left of one at its ends or beside a mark (`…`)."""
        if not self.secrets:
            return text
        look = self.look(text.encode(errors="replace"))
        spans = [*look.whole(), *look.cut()]
        return replaced(look.data, spans).decode(errors="replace") if spans else text

    def together(self, first: str, second: str) -> tuple[str, str]:
        """Two streams of one program without secrets, nor such as one of them begins and the other one goes on with."""
        if not (self.secrets and first and second):
            return self.text(first), self.text(second)
        one, other = first.encode(errors="replace"), second.encode(errors="replace")
        middle, end = len(one), len(one) + len(other)
        spans = sorted(self.look(one + other + one).whole())
        of_one = [(start, min(stop, middle), name) for start, stop, name in spans if start < middle]
        of_one += [(max(start, end) - end, stop - end, name) for start, stop, name in spans if stop > end]
        of_other = [
            (max(start, middle) - middle, min(stop, end) - middle, name)
            for start, stop, name in spans
            if start < end and stop > middle
        ]
        texts = (replaced(data, found).decode(errors="replace") for data, found in ((one, of_one), (other, of_other)))
        return self.text(next(texts)), self.text(next(texts))

    def stream(self, sink: Callable[[bytes], object]) -> RedactedStream:
        """A sink before a sink."""
        return RedactedStream(self, sink)

    @cached_property
    def of_long_ones(self) -> Redactor:
        """One for texts of taskcal's own, in which a value such as `1` would be anything but the secret."""
        return Redactor({name: value for name, value in self.secrets.items() if len(value) >= SHORTEST})

    def look(self, data: bytes) -> SecretSearch:
        """Take a look at some data."""
        texts = views(data) if self._plain.names or self._hex.names else []
        looks = [(self._plain, view) for view in texts]
        looks += [(self._hex, digits) for view in texts for digits in hex_views(view)]
        return SecretSearch(data, self._literals, looks, SLACK * self._longest)

    @cached_property
    def _literals(self) -> dict[bytes, bytes]:
        return self._named(literal_forms)

    @cached_property
    def _plain(self) -> Forms:
        return Forms(self._named(plain_forms))

    @cached_property
    def _hex(self) -> Forms:
        return Forms(self._named(hex_forms))

    @cached_property
    def _longest(self) -> int:
        return max((*map(len, self._literals), self._plain.longest, self._hex.longest), default=0)

    def _named(self, forms: Callable[[str], set[bytes]]) -> dict[bytes, bytes]:
        return {form: f"[{name}]".encode() for name, value in self.secrets.items() for form in forms(value)}


class RedactedStream:
    """What looks like a secret leaves it as `[NAME]`, however it is cut into chunks; from any thread."""

    def __init__(self, redactor: Redactor, sink: Callable[[bytes], object]) -> None:
        """Nothing is held back yet."""
        self._redactor, self._sink = redactor, sink
        self._held = b""
        self._lock = threading.Lock()

    def write(self, chunk: bytes) -> None:
        """Pass on what cannot be the beginning of a secret; what is kept back is kept as it came."""
        if not self._redactor.secrets:
            self._sink(chunk)
            return
        with self._lock:
            self._held += chunk
            look = self._redactor.look(self._held)
            spans, ready = sorted(look.whole()), look.begun()
            for start, end, _ in spans:
                ready = end if start < ready < end else ready
            if ready:
                self._sink(replaced(self._held[:ready], [span for span in spans if span[1] <= ready]))
                self._held = self._held[ready:]

    def end(self) -> None:
        """Pass on the rest, as nothing more comes; the beginning of a secret is replaced as well."""
        with self._lock:
            if self._held:
                look = self._redactor.look(self._held)
                self._sink(replaced(self._held, (*look.whole(), *look.cut_at_end())))
                self._held = b""


def replaced(data: bytes, spans: Iterable[Span]) -> bytes:
    """Data with each span replaced; those that overlap become one, under the first one's name."""
    pieces: list[bytes] = []
    at = 0
    for start, end, name in sorted(spans, key=lambda span: (span[0], -span[1])):
        if end <= at:
            continue
        if start >= at:
            pieces += (data[at:start], name)
        at = end
    return b"".join((*pieces, data[at:]))


def _places(text: bytes, form: bytes, step: int) -> Iterator[int]:
    at = text.find(form)
    while at >= 0:
        yield at
        at = text.find(form, at + step)


def _first_and_longest(text: bytes, names: Mapping[bytes, bytes]) -> Iterator[Span]:
    """Where forms stand one after the other; of those that begin at one place, the longest."""
    found = [(at, -len(form), name) for form, name in names.items() for at in _places(text, form, 1)]
    end = 0
    for at, negative, name in sorted(found):
        if at >= end:
            end = at - negative
            yield at, end, name


def _begun(text: bytes, form: bytes) -> int:
    """Where the longest end of a text begins that a form begins with, but is more than."""
    at = text.find(form[:1], max(0, len(text) - len(form) + 1))
    while at >= 0 and not form.startswith(text[at:]):
        at = text.find(form[:1], at + 1)
    return len(text) if at < 0 else at
