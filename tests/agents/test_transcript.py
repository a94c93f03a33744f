"""Transcripts: what is written is what is read, nothing secret is in it, and equal conversations have equal digests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.transcript import (
    CUT,
    Event,
    Message,
    Note,
    TokenUsage,
    ToolCall,
    ToolResult,
    Transcript,
    TranscriptEntry,
    conversation_digest,
    entry_of,
    line_of,
    read_transcript,
)
from tests.agents.chat.fake_clock import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = st.none() | st.integers(0, 2**53)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Message, st.text(), st.text(), st.text()),
    st.builds(ToolCall, st.text(), st.text(), st.text()),
    st.builds(ToolResult, st.text(), st.text(), st.floats(0, 1e9), st.none() | st.integers(0, 255)),
    st.builds(TokenUsage, COUNTS, COUNTS, COUNTS),
    st.builds(Note, st.text()),
)
TALK: tuple[Event, ...] = (
    Message("user", "Ship it."),
    Message("assistant", "", "It must be shipped."),
    ToolCall("call_1", "bash", '{"command": "ship"}'),
    TokenUsage(10, None, 5),
    ToolResult("call_1", "shipped", 0.25, 0),
    Message("assistant", "Done."),
)


def written(path: Path, *events: Event, hidden: str = "hunter2") -> Transcript:
    """A transcript of these events, one second apart."""
    clock = FakeClock()

    def append(line: bytes) -> None:
        with path.open("ab") as file:
            file.write(line)

    transcript = Transcript(append, lambda text: text.replace(hidden, "[KEY]"), clock.now)
    for event in events:
        transcript.add(event)
        clock.sleep(1.0)
    return transcript


@given(seconds=st.floats(0, 1e6), event=EVENTS)
def test_a_line_comes_back_as_it_was(seconds: float, event: Event) -> None:
    """Any event, with any text in it; moments to the millisecond."""
    found = entry_of(json.loads(line_of(TranscriptEntry(seconds, event))))
    assert found == TranscriptEntry(round(seconds, 3), event)


def test_the_form_is_the_documented_one() -> None:
    """Other programs read these lines: the names are a promise, and optional keys are there only where they speak."""
    lines = [json.loads(line_of(TranscriptEntry(1.23456, event))) for event in (*TALK, Note("a remark"))]
    assert lines == [
        {"t": 1.235, "type": "message", "role": "user", "content": "Ship it."},
        {"t": 1.235, "type": "message", "role": "assistant", "content": "", "reasoning": "It must be shipped."},
        {"t": 1.235, "type": "tool_call", "id": "call_1", "name": "bash", "arguments": '{"command": "ship"}'},
        {"t": 1.235, "type": "usage", "input_tokens": 10, "cached_tokens": None, "output_tokens": 5},
        {"t": 1.235, "type": "tool_result", "id": "call_1", "content": "shipped", "seconds": 0.25, "exit_code": 0},
        {"t": 1.235, "type": "message", "role": "assistant", "content": "Done."},
        {"t": 1.235, "type": "note", "text": "a remark"},
    ]


def test_events_are_on_disk_as_they_happen(tmp_path: Path) -> None:
    """After each event its line is there; what an earlier attempt left under the same name is not."""
    path = tmp_path / "transcript.jsonl"
    path.write_text("old\n")
    transcript = Transcript.at(path, str)
    assert not path.exists()
    for number, event in enumerate(TALK, start=1):
        transcript.add(event)
        assert [entry.event for entry in read_transcript(path)] == list(TALK[:number])


def test_moments_count_from_the_beginning(tmp_path: Path) -> None:
    """Seconds since the agent began."""
    written(tmp_path / "t", *TALK)
    assert [entry.t for entry in read_transcript(tmp_path / "t")] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_secrets_are_replaced_in_every_text(tmp_path: Path) -> None:
    """Wherever a secret stands, also where JSON would write it in another way."""
    word = 'a"b\\c'
    events = (
        Message(word, word, word),
        ToolCall(word, word, word),
        ToolResult(word, word),
        Note(word),
    )
    written(tmp_path / "t", *events, hidden=word)
    read = [entry.event for entry in read_transcript(tmp_path / "t")]
    key = "[KEY]"
    assert read == [Message(key, key, key), ToolCall(key, key, key), ToolResult(key, key), Note(key)]
    assert "a\\" not in (tmp_path / "t").read_text()


def test_half_a_surrogate_pair_is_written(tmp_path: Path) -> None:
    """A model can escape one in its JSON; UTF-8 cannot hold it."""
    written(tmp_path / "t", Message("assistant", "broken \ud83d here"))
    assert [entry.event for entry in read_transcript(tmp_path / "t")] == [Message("assistant", "broken ? here")]


def test_a_transcript_is_bounded() -> None:
    """Whole lines up to the bound, then one that says so, then nothing; the digest still covers everything."""
    lines: list[bytes] = []
    bounded, whole = Transcript(lines.append, limit=1000), Transcript()
    for number in range(100):
        event = Message("assistant", f"word {number}")
        bounded.add(event)
        whole.add(event)
    assert sum(map(len, lines)) < 1000 + len(lines[-1])
    entries = [entry_of(json.loads(line)) for line in lines]
    assert [entry.event for entry in entries if entry][-1] == Note(CUT)
    assert bounded.digest == whole.digest


@pytest.mark.parametrize(
    "changed",
    [
        (*TALK[:1], Message("assistant", "", "It should be shipped."), *TALK[2:]),
        (*TALK[:2], ToolCall("call_1", "bash", '{"command": "ship  "}'), *TALK[3:]),
        (*TALK[:4], ToolResult("call_1", "shipped", 0.25, 1), *TALK[5:]),
        TALK[:-1],
        TALK[::-1],
    ],
)
def test_other_conversations_have_other_digests(changed: tuple[Event, ...]) -> None:
    """Another thought, command, status, end or order."""
    assert conversation_digest(changed) != conversation_digest(TALK)


def test_a_digest_knows_no_times_ids_and_remarks(tmp_path: Path) -> None:
    """They differ between rollouts that say and do the same; the file gives the same digest as the writer."""
    other = (
        *TALK[:2],
        ToolCall("call_9", "bash", '{"command": "ship"}'),
        Note("the next try in 1 s"),
        ToolResult("call_9", "shipped", 3.5, 0),
        TokenUsage(99, 98, 97),
        *TALK[5:],
    )
    assert conversation_digest(other) == conversation_digest(TALK)
    transcript = written(tmp_path / "t", *other)
    assert (
        transcript.digest
        == conversation_digest(TALK)
        == conversation_digest(entry.event for entry in read_transcript(tmp_path / "t"))
    )


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """A process that was killed while it wrote."""
    path = tmp_path / "t"
    written(path, *TALK)
    path.write_bytes(path.read_bytes()[:-5])
    assert [entry.event for entry in read_transcript(path)] == list(TALK[:-1])


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"null",
        b'{"t": 1}',
        b'{"t": "soon", "type": "note", "text": "a"}',
        b'{"t": NaN, "type": "note", "text": "a"}',
        b'{"t": 1e999, "type": "note", "text": "a"}',
        b'{"t": 1, "type": "note", "text": 7}',
        b'{"t": 1, "type": "note"}',
        b'{"t": 1, "type": "usage", "input_tokens": -1}',
        b'{"t": 1, "type": "usage", "input_tokens": true}',
        b'{"t": 1, "type": "tool_result", "id": "a", "content": "b", "seconds": "c"}',
        b'{"t": 1, "type": ["message"]}',
        b"[" * 100_000,
        b'{"t": ' + b"9" * 5_000 + b', "type": "note", "text": "a"}',
    ],
    ids=lambda line: line[:40].decode(errors="replace"),
)
def test_damage_is_a_note(tmp_path: Path, line: bytes) -> None:
    """Whatever a line holds: it is named, and what stands around it is read."""
    path = tmp_path / "t"
    path.write_bytes(line_of(TranscriptEntry(0, TALK[0])) + line + b"\n" + line_of(TranscriptEntry(0, TALK[-1])))
    assert [entry.event for entry in read_transcript(path)] == [TALK[0], Note("line 2 cannot be read"), TALK[-1]]


def test_what_a_later_version_adds_is_passed_over(tmp_path: Path) -> None:
    """Kinds and keys that are not known yet."""
    path = tmp_path / "t"
    path.write_text('{"t": 1, "type": "image", "url": "x"}\n{"t": 2, "type": "note", "text": "a", "colour": "red"}\n')
    assert list(read_transcript(path)) == [TranscriptEntry(2.0, Note("a"))]
