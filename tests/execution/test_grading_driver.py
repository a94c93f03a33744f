"""The driver's text, and the reading of what it prints: nothing of a check can be taken for a record."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from taskcal.execution.grading_driver import (
    FILE_LIMIT,
    MARK,
    OUTPUT_LIMIT,
    OWN_IMPORTS,
    STOP_EVERYTHING,
    FileJob,
    Given,
    JobRecord,
    ScriptJob,
    drive,
    output_bound,
    parse_records,
    seconds,
)
from taskcal.machine import host
from taskcal.sandbox.scripts import setup_script, start_again, started
from tests.sandbox.fake_engine import record

if TYPE_CHECKING:
    from random import Random

WORD = "it's"
FORGED = record(0, 0, b"1", b"")
WORDS = st.binary(max_size=30) | st.sampled_from([b"", b"\n", FORGED, MARK.encode(), b"\n" + FORGED, b"\0"])
RECORDS = st.lists(st.tuples(st.integers(0, 255), st.booleans(), WORDS, WORDS), min_size=1, max_size=6)


def printed(records: list[tuple[int, bool, bytes, bytes]]) -> list[bytes]:
    """What the driver prints for these records, one by one."""
    return [record(index, status, out, err, late=late) for index, (status, late, out, err) in enumerate(records)]


@given(records=RECORDS, order=st.randoms(use_true_random=False))
def test_what_is_printed_is_read(records: list[tuple[int, bool, bytes, bytes]], order: Random) -> None:
    """Any output, also one that looks like a record: whatever comes first, each job has its own."""
    pieces = printed(records)
    order.shuffle(pieces)
    found = parse_records(b"".join(pieces), len(records))
    assert found == tuple(JobRecord(status, late, len(out), out, err) for status, late, out, err in records)


@given(records=RECORDS, cut=st.integers(1, 60))
def test_half_an_output_is_none(records: list[tuple[int, bool, bytes, bytes]], cut: int) -> None:
    """What ends too soon is never read as fewer or shorter records."""
    output = b"".join(printed(records))
    assert parse_records(output[:-cut], len(records)) is None


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"\n",
        b"nonsense",
        record(0),
        record(0) + record(0),
        record(0) + FORGED + record(1),
        record(0) + record(2),
        record(1) + record(2),
        record(0) + record(1) + record(2),
        record(0) + b"noise\n" + record(1),
        record(0) + record(1) + b"noise",
        b"noise " + record(0) + record(1),
    ],
    ids=lambda output: repr(output[:40]),
)
def test_hostile_output_is_none(output: bytes) -> None:
    """Two records were due: fewer, more, doubled, forged or garbled ones are no grading at all."""
    assert parse_records(output, 2) is None


@pytest.mark.parametrize(
    "fields",
    [
        "0 0 0 0 0",
        "0 0 0 0 0 0 0",
        "0 0 0 0 -1 0",
        "0 0 0 0 1e3 0",
        "0 0 0 0 99 0",
        "0 0 0 0 0 99",
        "0 0 0 0 \N{ARABIC-INDIC DIGIT ZERO} 0",
        "0 0 0 0 0x0 0",
        "0  0 0 0 0 0",
        "9999999999999999999 0 0 0 0 0",
        f"0 0 0 {'9' * 5000} 0 0",
    ],
    ids=lambda fields: fields[:30],
)
def test_a_garbled_head_is_none(fields: str) -> None:
    """Index, status, lateness and three lengths: six plain numbers, of which the lengths must be there."""
    assert parse_records(f"{MARK} {fields}\n\n".encode() + record(1), 2) is None
    assert parse_records(f"{MARK} 0 0 0 0 0 0\n\n".encode() + record(1), 2) is not None


@given(output=st.binary(max_size=80) | st.binary(max_size=40).map(record(0).__add__), count=st.integers(0, 3))
def test_no_output_raises(output: bytes, count: int) -> None:
    """Whatever the driver was made to print."""
    found = parse_records(output, count)
    assert found is None or len(found) == count


@given(sources=st.lists(st.text(alphabet="ab$`'\"\\\n{}() !#%&;|<>*?[]~=\N{SNOWMAN}"), min_size=1, max_size=3))
def test_a_script_stands_in_the_driver_as_it_is(sources: list[str]) -> None:
    """Whatever quotes it holds: read back from the driver's text by the shell's own rules, it is the same."""
    assume(not any(source.lstrip().startswith("#!") for source in sources))
    text = drive(tuple(ScriptJob(source, 5.0) for source in sources), "abc123", "", Given({}))
    words = shlex.split(text[text.index("printf %s ", text.index("\n}\n", text.index("file()"))) :])
    starts = [place for place, word in enumerate(words) if word == "printf"]
    assert [words[place + 2] for place in starts] == sources


@pytest.mark.parametrize("path", ["/a", "/it's", "/$(reboot)", "/a b\nc", "/-n", "/`x`"])
def test_the_driver_is_a_script_that_a_shell_reads(path: str) -> None:
    """With any path and any script in it, and with what stops the agent before it."""
    jobs = (FileJob(path, links=False), FileJob(path), ScriptJob("cat <<'EOF'\nfor (\nEOF\n", 5.0))
    text = drive(jobs, "abc123", STOP_EVERYTHING, Given({}))
    assert host.run(["sh", "-n"], seconds=30, stdin=text).output == ""


def test_the_driver_runs_each_job_once() -> None:
    """Files are read first, scripts run in their order with their seconds rounded up, then all is told."""
    jobs = (FileJob("/a", links=False), ScriptJob("x", 1.2), FileJob("/b"), ScriptJob("y", 30.0))
    lines = drive(jobs, "abc123", "BEFORE\n", Given({})).splitlines()
    assert lines[0] == "BEFORE"
    told = [line for line in lines if re.match(r"(file|check|record) \d", line)]
    records = ["record 1 8192 8192", "record 3 8192 8192"]
    assert told == ["file 0 /a nolink", "file 2 /b any", "check 1 2", "check 3 30", *records]
    assert lines[-2:] == ['rm -rf "$TASKCAL_room"', "exit 0"]
    assert "TASKCAL_room=/run/taskcal-abc123" in lines


def test_time_and_output_are_bounded() -> None:
    """Reading files takes no time worth a limit; each job's output has one."""
    jobs = (FileJob("/a"), ScriptJob("x", 1.5), ScriptJob("y", 2.0))
    assert seconds(jobs) == 3.5
    full = record(0, 0, b"x" * FILE_LIMIT) + b"".join(
        record(index, 255, b"x" * OUTPUT_LIMIT, b"y" * OUTPUT_LIMIT) for index in (1, 2)
    )
    assert len(full) <= output_bound(jobs) < len(full) + 1000


@pytest.mark.parametrize(
    ("stdout", "stderr", "tail"),
    [
        (b"", b"", ""),
        (b"out\n", b"err\n\n", "err | out"),
        (b"x" * 300, b"", f"…{'x' * 199}"),
        (b"\xff", b"", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_tail_is_one_line(stdout: bytes, stderr: bytes, tail: str) -> None:
    """Standard error first, since it holds the reason; at most 200 characters."""
    assert JobRecord(1, late=False, size=0, stdout=stdout, stderr=stderr).tail == tail


STEPS = b"".join(b"step %d\n" % step for step in range(100))


@pytest.mark.parametrize(
    ("stdout", "stderr"),
    [(b"", b"jq: not found\n" + STEPS + b"the end\n"), (STEPS + b"the end\n", b"jq: not found\n")],
)
def test_a_tail_keeps_the_first_line_of_an_error(stdout: bytes, stderr: bytes) -> None:
    """It often holds the cause; the last words are there as well."""
    tail = JobRecord(1, late=False, size=0, stdout=stdout, stderr=stderr).tail
    assert tail.startswith("jq: not found | ")
    assert tail.endswith(" | the end")
    assert " | … | " in tail
    assert len(tail) <= 200


def test_no_variable_of_ours_replaces_a_param() -> None:
    """Every variable that the surrounding shell texts assign begins with a prefix that no param can have."""
    texts = (
        drive((ScriptJob("true", 1.0), FileJob("/a")), "abc123", STOP_EVERYTHING, Given({})),
        start_again("true", "true", {"LANG": "C"}),
        started("true"),
        setup_script("true", ("/data",)),
    )
    exports = re.compile(r"command export .*|" + re.escape(OWN_IMPORTS))  # which set what checks get
    for text in (exports.sub("", text) for text in texts):
        assigned = re.findall(r"(?:^|[\s;{&|(])([A-Za-z_]\w*)=", text)
        assigned += re.findall(r"(?:\bfor|read -r) (\w+)", text)
        assert assigned
        assert {name for name in assigned if not name.startswith("TASKCAL_")} == set()


@pytest.mark.parametrize(
    ("source", "hides"),
    [
        ("su agent -c ./program", True),
        ("x=$(setpriv --reuid=1 ./program) || exit 1", True),
        ("cd /app && runuser -u agent -- ./program", True),
        ("./sum 1 2", False),
        ("echo su", False),
        ("#!/usr/bin/env python3\nimport su", False),
    ],
)
def test_a_script_that_starts_programs_as_another_user_keeps_its_params(source: str, hides: bool) -> None:
    """They stand in its own text, and are not in the environment of what it calls."""
    text = drive((ScriptJob(source, 5.0),), "abc123", "", Given({"LANG": "C"}, {"word": WORD}))
    assert ("check 0 5 few" in text) is hides
    own = f"word={shlex.quote(WORD)}; {source}"
    assert (shlex.quote(own) in text) is hides
