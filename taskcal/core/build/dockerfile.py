"""What a Dockerfile takes from elsewhere: images, and what its ADD would fetch, read as the classic builder reads it.

An engine fetches an ADD's URL itself, whatever network the build has, and takes any image that it holds or can pull.
Both must be known before a stranger's folder is built. An ADD is read by a positive list: a source without a colon, a
quote or a variable names a file of the folder, and any other may be fetched. If builders of different versions read a
text differently, or a name is only known while building (variables, quotes), it is unclear, and whoever sets bounds
refuses it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KNOWN = re.compile(
    "add|arg|cmd|copy|entrypoint|env|expose|from|healthcheck|label|maintainer|onbuild|run|shell|stopsignal|user|volume"
    "|workdir"
)
SPACE = "\t\v\f\r "
ESCAPE = re.compile(r"#[ \t]*escape[ \t]*=[ \t]*(.*?)[ \t]*", re.IGNORECASE)
LIKE_ESCAPE = re.compile(r"#\s*escape\s*=", re.IGNORECASE)
IMAGE = re.compile(r"[A-Za-z0-9][\w./:@-]*", re.ASCII)
LOCAL = r"-\w.,+=%~/*?! "
"""Characters of a source that is a file in all builders' eyes: a URL has a colon, as has `git@host:path`."""
LOCAL_WORD = re.compile(f"[{LOCAL}]+")
LOCAL_LIST = re.compile(rf'\[\s*(?:"[{LOCAL}]+"\s*,\s*)+"[^"\\\x00-\x1f]*"\s*\]')
"""A list of JSON without escapes. Builders take a text that goes on behind its `]` for a list, or for words."""
VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?:(?P<sign>:[-+])(?P<other>[^{}]*))?\})", re.ASCII)
PLAIN_RUN = re.compile(r"run\s+(?!\s|--)", re.IGNORECASE)
QUOTED = re.compile(r"""[\\`"']""")
ODD_SPACE = re.compile(r"[^\S \t]|[\x00-\x08\x1c-\x1f]")
HEREDOC = re.compile(r"(?:^|[ \t])\d*<<-?[^<\s]")


PLATFORM_ARGUMENT = re.compile(r"\$\{?(?:BUILD|TARGET)(?:PLATFORM|OS|ARCH|VARIANT)\b")
"""Arguments that BuildKit sets by itself."""


class Kind(StrEnum):
    """What an instruction wants from elsewhere."""

    IMAGE = "image"
    UNNAMED = "unnamed image"
    FETCH = "fetch"
    FILE = "file"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Want:
    """One thing that a build takes: an image's name, what ADD would fetch or copy, or the words that are unclear."""

    kind: Kind
    line: int
    what: str


@dataclass(slots=True)
class _Stages:
    """The stages by name and number; one that is still being built is no source yet, and its name an image's."""

    names: list[str] = field(default_factory=list)

    def is_source(self, name: str) -> bool:
        """Whether COPY --from=`name` is a stage that has ended, which may be given by its number."""
        ended = self.names[:-1]
        return name.lower() in ended or (re.fullmatch(r"[0-9]{1,4}", name) is not None and int(name) < len(ended))


def wants(text: str) -> tuple[Want, ...]:
    """All that a Dockerfile takes from outside its folder, and the files that its ADDs take, in the order of lines."""
    text = text.removeprefix("\ufeff")
    lines = text.split("\n")
    escape = _escape(lines)
    if isinstance(escape, Want):
        return (escape,)
    stages = _Stages()
    return tuple(want for line, _, words in _instructions(lines, escape) for want in _wants(line, words, stages))


@dataclass(frozen=True, slots=True)
class BuildKitNeed:
    """An instruction that only BuildKit understands: its first line, and the part that the classic builder lacks."""

    line: int
    what: str


HEREDOC_WORD = re.compile(r"(?:^|[ \t])\d*<<-?[^<\s]\S*")
BUILDKIT_FLAG = re.compile(r"--(?:chmod|link|parents|exclude|checksum|keep-git-dir|unpack)\b")
MORE_INSTRUCTIONS = {"run", "copy", "add"}


def find_buildkit_need(text: str) -> BuildKitNeed | None:
    """The first instruction that needs BuildKit, or None. A heredoc ends the search: its body is not instructions."""
    lines = text.removeprefix("\ufeff").split("\n")
    escape = _escape(lines)
    for line, _, words in _instructions(lines, escape if isinstance(escape, str) else "\\"):
        name, rest = ([*(words or "").split(maxsplit=1), "", ""])[:2]
        if name.lower() not in {*MORE_INSTRUCTIONS, "from"}:
            continue
        flags, arguments = _flags(rest)
        wanted = [flag for flag in flags if name.lower() == "run" or BUILDKIT_FLAG.match(flag)]
        if name.lower() == "from":
            wanted = [flag for flag in flags if PLATFORM_ARGUMENT.search(flag)]
        if wanted:
            return BuildKitNeed(line, f"{name} {wanted[0]}")
        if heredoc := HEREDOC_WORD.search(arguments):
            return BuildKitNeed(line, f"the heredoc {heredoc[0].strip()}")
    return None


@dataclass(frozen=True, slots=True)
class TakenImages:
    """The names of the images that a Dockerfile takes; `complete` is False if there may be others."""

    names: tuple[str, ...]
    complete: bool


def taken_images(text: str) -> TakenImages:
    """The images that FROM and COPY --from take, with the defaults of the ARGs before the first FROM filled in.

    A RUN that is unclear takes none, unless it has flags: one of them may mount an image.
    """
    found = wants(text)
    defaults = _defaults(text)
    names = dict.fromkeys(_filled(want.what, defaults) for want in found if want.kind in {Kind.IMAGE, Kind.UNNAMED})
    unclear = any(want.kind is Kind.UNCLEAR and not PLAIN_RUN.match(want.what) for want in found)
    plain = [name for name in names if IMAGE.fullmatch(name)]
    return TakenImages(tuple(name for name in plain if name != "scratch"), not unclear and len(plain) == len(names))


def variables(text: str) -> dict[str, str]:
    """What ENV sets, in any stage. A variable in a value that is not known is left out, as the images' own PATH is."""
    escape = _escape(text.split("\n"))
    known: dict[str, str] = {}
    for _, _, words in _instructions(text.split("\n"), escape if isinstance(escape, str) else "\\"):
        name, rest = ([*(words or "").split(maxsplit=1), "", ""])[:2]
        if name.lower() != "env":
            continue
        old = re.fullmatch(r"([^\s=]+)\s+(.*)", rest, re.DOTALL)
        given = {old[1]: old[2]} if old else dict(_pairs(rest))
        filled = {key: VARIABLE.sub("", _filled(value, known)) for key, value in given.items()}
        known |= {key: ":".join(part for part in value.split(":") if part) for key, value in filled.items()}
    return known


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """`NAME=value` words, quotes taken away; nothing of a line whose quotes do not end."""
    try:
        words = shlex.split(text)
    except ValueError:
        return
    yield from ((name, value) for name, mark, value in (word.partition("=") for word in words) if mark)


def _defaults(text: str) -> dict[str, str]:
    """The values that ARGs before the first FROM have; one without a value is not known."""
    escape = _escape(text.split("\n"))
    known: dict[str, str] = {}
    for _, _, words in _instructions(text.split("\n"), escape if isinstance(escape, str) else "\\"):
        name, *rest = (words or "").split() or [""]
        if name.lower() == "from":
            break
        if name.lower() == "arg":
            given = (word.partition("=") for word in rest if "=" in word)
            known |= {key: _filled(value.strip("\"'"), known) for key, _, value in given}
    return known


def _filled(name: str, known: Mapping[str, str]) -> str:
    """A name with its variables replaced; one that is not known stays, so that the name is no image's."""

    def value(match: re.Match[str]) -> str:
        variable = match["plain"] or match["braced"]
        if match["sign"] == ":+":
            return match["other"] if known.get(variable) else ""
        return known.get(variable) or (match["other"] if match["sign"] == ":-" else match[0])

    return VARIABLE.sub(value, name)


def _escape(lines: list[str]) -> str | Want:
    r"""What continues a line: `\`, or a backtick where the first line says so; builders differ on all else."""
    for number, line in enumerate(lines, start=1):
        bare = line.strip()
        if bare and not bare.startswith("#"):
            break
        if LIKE_ESCAPE.match(bare):
            told = ESCAPE.fullmatch(line.removesuffix("\r"))
            if told and told[1] in ("\\", "`") and (number == 1 or told[1] == "\\"):
                return str(told[1])
            return Want(Kind.UNCLEAR, number, bare)
    return "\\"


class _Instruction(NamedTuple):
    """Its first and its last line, and its text; None for one that builders continue differently."""

    line: int
    last: int
    text: str | None


def _instructions(lines: list[str], escape: str) -> Iterator[_Instruction]:
    """Each instruction. Comments and empty lines inside one are left out, and pieces are joined without a space."""
    ending = re.compile(rf"{re.escape(escape)}[ \t]*$")
    begun, pieces = 0, list[str]()
    for number, raw in enumerate(lines, start=1):
        line = raw.removesuffix("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begun = begun if pieces else number
        if re.search(rf"{re.escape(escape * 2)}[ \t]*$", line):
            yield _Instruction(number, number, None)
        piece = ending.sub("", line)
        pieces.append(piece)
        if piece == line:
            yield _Instruction(begun, number, "".join(pieces).strip(SPACE))
            pieces = []
    if pieces:
        yield _Instruction(begun, len(lines), "".join(pieces).strip(SPACE))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A Dockerfile in which each FROM is followed by one more line; `added` are the numbers of those lines."""

    text: str
    added: tuple[int, ...]

    def original_line(self, line: int) -> int:
        """The number that a line had before."""
        return line - sum(added < line for added in self.added)


def labelled(text: str, label: str) -> Labelled:
    """A Dockerfile with an instruction behind each FROM, so that every layer of its build carries a label.

    Nothing is added behind a heredoc, whose body looks like instructions, nor to a text that builders read differently.
    """
    lines = text.split("\n")
    plain = text.removeprefix("\ufeff").split("\n")
    escape = _escape(plain)
    ends: list[int] = []
    for instruction in _instructions(plain, escape if isinstance(escape, str) else "\\"):
        name, rest = ([*(instruction.text or "").split(maxsplit=1), "", ""])[:2]
        if instruction.text is None or not isinstance(escape, str):
            return Labelled(text, ())
        if HEREDOC.search(rest):
            break
        if name.lower() == "from":
            ends.append(instruction.last)
    for end in reversed(ends):
        lines.insert(end, label)
    return Labelled("\n".join(lines), tuple(end + number for number, end in enumerate(ends, start=1)))


def _wants(line: int, text: str | None, stages: _Stages, *, trigger: bool = False) -> Iterator[Want]:
    if text is None:
        yield Want(Kind.UNCLEAR, line, "a doubled escape at the end of a line")
        return
    name, rest = ([*re.split(rf"[{SPACE}]+", text, maxsplit=1), ""])[:2]
    word = name.lower() if name.isascii() else ""
    odd = word in {"from", "copy", "add", "onbuild", "run"} and (ODD_SPACE.search(text) or HEREDOC.search(rest))
    if not KNOWN.fullmatch(word) or odd or (trigger and word in {"from", "onbuild"}):
        yield Want(Kind.UNCLEAR, line, text)
    elif word == "onbuild":  # a later stage of the same file may run it
        yield from _wants(line, rest.strip(SPACE), stages, trigger=True)
    elif word in {"from", "copy", "add", "run"}:
        flags, rest = _flags(rest)
        if any(QUOTED.search(flag) for flag in flags):
            yield Want(Kind.UNCLEAR, line, text)
        yield from {"from": _from, "copy": _copy, "add": _add, "run": _run}[word](line, flags, rest, stages)


def _flags(text: str) -> tuple[list[str], str]:
    """The words that begin with `--`, up to the first that does not or is nothing else, and what follows them."""
    flags: list[str] = []
    while match := re.match(r"--(\S*)\s*", text):
        text = text[match.end() :]
        if not match[1]:
            break
        flags.append(match[0].strip())
    return flags, text


def _from(line: int, _: list[str], rest: str, stages: _Stages) -> Iterator[Want]:
    name, *more = rest.split() or [""]
    if name.lower() not in stages.names and name != "scratch":
        yield _image(line, name)
    named = len(more) == 2 and more[0].lower() == "as"
    stages.names.append(more[1].lower() if named else "")
    if more and not (named and re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", more[1])):
        yield Want(Kind.UNCLEAR, line, rest)


def _copy(line: int, flags: list[str], _: str, stages: _Stages) -> Iterator[Want]:
    for flag in flags:
        name = flag.removeprefix("--from=")
        if name != flag and not stages.is_source(name):
            yield _image(line, name)


def _image(line: int, name: str) -> Want:
    return Want(Kind.IMAGE if IMAGE.fullmatch(name) else Kind.UNNAMED, line, name)


def _add(line: int, flags: list[str], rest: str, stages: _Stages) -> Iterator[Want]:
    yield from _copy(line, flags, rest, stages)
    rest = rest.strip(SPACE)
    if rest.startswith("["):
        words = re.findall(r'"([^"]*)"', rest) if LOCAL_LIST.fullmatch(rest) else []
        yield from (Want(Kind.FILE, line, source) for source in words[:-1])
        if not words:
            yield Want(Kind.FETCH, line, rest)
        return
    for source in rest.split()[:-1]:
        yield Want(Kind.FILE if LOCAL_WORD.fullmatch(source) else Kind.FETCH, line, source)


def _run(line: int, flags: list[str], _: str, __: _Stages) -> Iterator[Want]:
    """A mount may come from any image, and a network may be the host's; the classic builder knows neither."""
    yield from (Want(Kind.UNCLEAR, line, f"RUN {flag}") for flag in flags)
