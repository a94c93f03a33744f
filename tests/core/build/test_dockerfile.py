"""What a Dockerfile takes from elsewhere is seen before it is built, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.build.dockerfile import (
    Kind,
    TakenImages,
    Want,
    find_buildkit_need,
    labelled,
    taken_images,
    variables,
    wants,
)


def kinds(text: str) -> list[tuple[Kind, str]]:
    return [(want.kind, want.what) for want in wants(text)]


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM debian\n", ["debian"]),
        ("\ufefffrom debian:12\r\nRUN true\r\n", ["debian:12"]),
        ("# FROM other\n\n  FROM a/b@sha256:00 AS x\n", ["a/b@sha256:00"]),
        ("FROM scratch\nCOPY . /\n", []),
        ("ARG V=1\nFROM --platform=$BUILDPLATFORM debian\n", ["debian"]),
        ("FROM \\\n# said between\n\n  deb\\\nian\n", ["debian"]),
        ("# escape=`\nFROM `\nc:\\x\n", []),
        ("FROM debian AS One\nFROM one\nCOPY --from=ONE /a /b\n", ["debian"]),
        ("FROM a AS one\nFROM b\nCOPY --chown=$UID --from=0 /a /b\nCOPY --from=one /a /b\n", ["a", "b"]),
        ("FROM a\nCOPY --from=private/x /etc /\n", ["a", "private/x"]),
        ("FROM a AS private\nCOPY --from=private /etc /\n", ["a", "private"]),
        ("FROM a AS one\nCOPY --from=0 /etc /\n", ["a", "0"]),
        ("FROM a\nFROM b\nCOPY --from=7 /etc /\n", ["a", "b", "7"]),
        ("FROM a AS one\nONBUILD copy --from=two / /\nFROM one\n", ["a", "two"]),
        ('FROM a\nONBUILD COPY --from=two ["x", "/"]\n', ["a", "two"]),
        ("FROM a\nRUN FROM b \\\n  && COPY --from=c\n", ["a"]),
    ],
)
def test_images_from_outside(text: str, images: list[str]) -> None:
    """FROM and --from name an image unless they name a stage that has ended, by name or number."""
    assert [want.what for want in wants(text) if want.kind is Kind.IMAGE] == images


@pytest.mark.parametrize(
    "line",
    [
        "ADD http://127.0.0.1/x /x",
        "add --chown=1:1 https://x/y /x",
        "ADD a b ftp://x/y /x",
        "ADD git@github.com:a/b /x",
        "ADD $WHERE /x",
        "ADD ${WHERE:-x} /x",
        'ADD ["http://x/y", "/x"]',
        'ADD ["\\u0068ttp:\\/\\/x", "/x"]',
        "ADD ht\\\ntp://x/y /x",
        "ADD \\\n# between\nhttp://x/y \\\n /x",
        'ADD "http":/"/x" /x',
        "ADD http:\\//x /x",
        "ONBUILD ADD http://x/y /x",
        "onbuild \\\n add http://x/y /x",
        "ADD -- http://x/y /x",
        'ADD ["http://x/y","/x"]x',
        'ADD ["a","/x"] http://x/y',
        'ADD ["a",\t"http://x/y" , "/x"]',
        'ADD [ "a", "/x" ], "/y"]',
        'ADD ["a", "/x"',
        'ADD [["a"], "/x"]',
        'ADD ["a", 1]',
        'ADD ["a"]',
        "ADD [a] /x",
        "ADD 'http://x/y' /x",
        "ADD HTTP://x/y /x",
        "ADD ssh://git@x/y /x",
        "ADD x:y.git#main /x",
        "ADD //x@y /x",
        "ADD a[bc] /x",
        "ADD --checksum=sha256:0 http://x/y /x",
        "ADD --keep-git-dir=true git@x:y /x",
        "ADD --chown=1:1 --chmod=7 http://x/y /x",
    ],
)
def test_what_add_would_fetch(line: str) -> None:
    """An ADD of anything but plain local paths counts as fetching, also where a variable could make it one."""
    found = [kind for kind, _ in kinds(f"FROM a\n{line}\n")]
    assert [kind for kind in found if kind is not Kind.FILE] == [Kind.IMAGE, Kind.FETCH]


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("ADD a.tar /x", ["a.tar"]),
        ('ADD ["a b", "/x"]', ["a b"]),
        ('add [ "a","b/ä.txt" ,"/x:y"]  ', ["a", "b/ä.txt"]),
        ("ADD --chown=$U a* b/ /x/", ["a*", "b/"]),
        ("ONBUILD ADD ./a \\\n /x", ["./a"]),
        ("COPY $X /x", []),
    ],
)
def test_local_files_are_fine(line: str, files: list[str]) -> None:
    """Plain paths come with the folder."""
    assert kinds(f"FROM a\n{line}\n") == [(Kind.IMAGE, "a"), *((Kind.FILE, name) for name in files)]


URLS = st.sampled_from(["http://x/y", "https://x/y.git", "git@x:y", "ssh://x/y", "git://x/y", "x:y", "hTTp://x/y"])
DISGUISES = st.sampled_from(
    [
        "{}",
        '"{}"',
        "'{}'",
        "\\{}",
        "$A{}",
        "${{A:-{}}}",
        '["{}","/x"]',
        '["{}","/x"]z',
        '[ "a", "{}", "/x" ] ',
        '["{}"',
        "a {}",
    ]
)


@given(url=URLS, disguise=DISGUISES, cut=st.integers(0, 40), before=st.sampled_from(["", "--chown=1 ", "-- ", "\t"]))
def test_no_spelling_of_a_url_is_a_file(url: str, disguise: str, cut: int, before: str) -> None:
    """However it is written, quoted, continued or put in a list: it is never taken for files of the folder alone."""
    words = f"ADD {before}{disguise.format(url)} /x"
    text = f"FROM a\n{words[:cut]}\\\n{words[cut:]}\n" if cut else f"FROM a\n{words}\n"
    assert {Kind.FETCH, Kind.UNCLEAR} & {kind for kind, _ in kinds(text)}


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN x \\\\\nADD http://x/y /x\n",
        "# syntax=x\n# escape=`\nFROM a\n",
        " # escape=`\nFROM a\n",
        "# escape=x\nFROM a\n",
        "FROM a\nONBUİLD ADD x /y\n",
        "FROM a\n\u00a0ADD x /y\n",
        "FROM a\nCOPY\u0085--from=b / /\n",
        'FROM a\nCOPY --chown="x y" --from=b / /\n',
        "FROM a\nONBUILD FROM b AS c\n",
        "FROM a AS b c\n",
        "FROM a\nRUN --mount=type=bind,from=b true\n",
        "FROM a\nRUN cat <<EOF\nADD x\nEOF\n",
        "FROM a\nFETCH x\n",
    ],
)
def test_what_builders_read_differently_is_unclear(text: str) -> None:
    """A text that another version of a builder would take apart otherwise hides nothing."""
    assert Kind.UNCLEAR in [kind for kind, _ in kinds(text)]


@pytest.mark.parametrize("name", ["$BASE", "${BASE}", '"b"', "b\\c", ""])
def test_an_image_that_is_no_plain_name(name: str) -> None:
    """What a variable or a quote makes of a name is only known while building."""
    assert (Kind.UNNAMED, name) in kinds(f"FROM {name}\n")
    assert name == "" or (Kind.UNNAMED, name) in kinds(f"FROM a\nCOPY --from={name} / /\n")


def test_the_line_is_that_of_the_instructions_beginning() -> None:
    """Counted from 1, comments and pieces of a continued line included."""
    assert wants("# x\n\nFROM a\nADD \\\n  http://x \\\n  /y\n") == (
        Want(Kind.IMAGE, 3, "a"),
        Want(Kind.FETCH, 4, "http://x"),
    )


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("FROM a\nRUN <<EOF\necho\nEOF\n", 2, "heredoc <<EOF"),
        ("FROM a\nCOPY <<-'END' /x\nRUN x\nEND\n", 2, "heredoc <<-'END'"),
        ("FROM a\nRUN --mount=type=cache,target=/c x\n", 2, "RUN --mount=type=cache,target=/c"),
        ("FROM a\nrun --network=none x\n", 2, "run --network=none"),
        ("FROM a\n\n# x\nCOPY --chmod=755 a /b\n", 4, "COPY --chmod=755"),
        ("FROM a\nADD --link a /b\n", 2, "ADD --link"),
        ("FROM --platform=$BUILDPLATFORM a\n", 1, "FROM --platform=$BUILDPLATFORM"),
        ("FROM --platform=${TARGETPLATFORM} a\n", 1, "FROM --platform=${TARGETPLATFORM}"),
        ("FROM a\nRUN a \\\n  b\nCOPY --from=x --chmod=7 a b", 4, "COPY --chmod=7"),
    ],
)
def test_what_needs_buildkit(text: str, line: int, what: str) -> None:
    """The first instruction that the classic builder cannot carry out, by its line."""
    need = find_buildkit_need(text)
    assert need is not None
    assert need.line == line
    assert what in need.what


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN cat <x >y\nCOPY --from=b --chown=u a b\n",
        "# syntax=docker/dockerfile:1\nFROM a\n",
        "FROM a\nENV X='<<EOF'\n",
        "FROM a\nRUN --\n",
        "FROM --platform=linux/amd64 a\n",
        "",
    ],
)
def test_what_the_classic_builder_does(text: str) -> None:
    """Redirections, stages and owners need nothing else."""
    assert find_buildkit_need(text) is None


@pytest.mark.parametrize(
    ("text", "names", "complete"),
    [
        ("FROM a\n", ("a",), True),
        ("FROM scratch\n", (), True),
        ("FROM a AS x\nFROM b\nCOPY --from=x / /\nCOPY --from=c:1 / /\nFROM a\n", ("a", "b", "c:1"), True),
        ("ARG BASE=a:1\nFROM $BASE\n", ("a:1",), True),
        ('ARG V="12" NAME=debian\nFROM ${NAME}:${V}-slim\n', ("debian:12-slim",), True),
        ("ARG V=1\nARG BASE=a:$V\nFROM ${BASE}\n", ("a:1",), True),
        ("ARG V\nFROM a:${V:-2}${V:+x}\n", ("a:2",), True),
        ("ARG V=1\nFROM a:${V:+x}\n", ("a:x",), True),
        ("ARG BASE=scratch\nFROM $BASE\n", (), True),
        ("ARG BASE\nFROM $BASE\n", (), False),
        ("FROM b\nARG BASE=a\nFROM $BASE\n", ("b",), False),
        ("FROM a\nCOPY --from=$X / /\n", ("a",), False),
        ("FROM a\nRUN echo $((1 <<2))\n", ("a",), True),
        ("FROM a\nRUN  --mount=from=b true\n", ("a",), False),
        ("FROM a\nRUN x \\\\\nFROM b\n", ("a",), False),
        ("FROM a\nFETCH b\n", ("a",), False),
    ],
)
def test_the_images_that_a_dockerfile_takes(text: str, names: tuple[str, ...], complete: bool) -> None:
    """Defaults of ARGs are filled in, stages are no images, and what cannot be known is not left out unnoticed."""
    assert taken_images(text) == TakenImages(names, complete)


LABEL = 'LABEL a="b"'


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("FROM a\nRUN x\n", (1,)),
        ("from a AS x\r\nRUN x\nFROM \\\n  # said\n b\nCOPY --from=x / /", (1, 5)),
        ("\ufeffARG A=1\nFROM $A", (2,)),
        ("# escape=`\nFROM a\nRUN `\n  FROM b\n", (2,)),
        ("FROM a\nRUN x <<E\nFROM b\nE\nFROM c\n", (1,)),
        ("FROM a\nRUN x \\\\\nFROM b\n", ()),
        ("# escape=x\nFROM a\n", ()),
        ("RUN x\n", ()),
        ("", ()),
    ],
)
def test_every_stage_begins_with_a_label(text: str, after: tuple[int, ...]) -> None:
    """Behind each FROM and nowhere else; an engine's words about a line still find the one that a person wrote."""
    found = labelled(text, LABEL)
    lines, before = found.text.split("\n"), text.split("\n")
    assert tuple(lines[number - 1] for number in found.added) == (LABEL,) * len(after)
    assert [line for line in lines if line != LABEL] == before
    for number, line in enumerate(lines, start=1):
        assert line == LABEL or before[found.original_line(number) - 1] == line
    assert tuple(number - index for index, number in enumerate(found.added, start=1)) == after


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM a\nENV PATH=/app/bin:$PATH", {"PATH": "/app/bin"}),
        ("FROM a\nENV A=/x\nENV B=${A}/y:${A} C='d e'", {"A": "/x", "B": "/x/y:/x", "C": "d e"}),
        ("FROM a\nENV A /x y", {"A": "/x y"}),
        ("FROM a\nenv A=1 \\\n  B=2", {"A": "1", "B": "2"}),
        ("FROM a\nENV A='x", {}),
        ("FROM a\nENV\nENV A\nRUN ENV=1", {}),
    ],
)
def test_variables_that_env_sets(text: str, found: dict[str, str]) -> None:
    """Both ways to write it; what it leaves to the image is left out, and nothing raises."""
    assert variables(text) == found
