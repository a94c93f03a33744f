"""How an agent on the host hands in its answer: the file that `answer` checks read, of any text and any length."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from taskcal.core.text.foreign_text import sound
from taskcal.sandbox import ANSWER_FILE, Script

if TYPE_CHECKING:
    from taskcal.sandbox import Sandbox

LONGEST_ANSWER = 1024 * 1024
"""Bytes; graders read no more of it, and the folder that holds it has room for 16 MiB."""
WRITE_SECONDS = 60.0


def write_answer(sandbox: Sandbox, answer: str, user: str | None) -> str:
    """Write an answer as the agent's user and give a remark on what was left out of it, or '' if it is whole.

    An agent that has barred the way (with a folder or a pipe in the file's place) has no answer. Raises LostError.
    """
    data = sound(answer).replace("\0", "").encode()
    kept = data[:LONGEST_ANSWER].decode(errors="ignore")
    source = f"umask 022\nprintf %s {shlex.quote(kept)} >{ANSWER_FILE}"
    result = sandbox.run(Script(source, WRITE_SECONDS, user=user, hidden=True))
    if not result.ok:
        return f"the answer could not be written: {result.tail or result.how}"
    return "" if len(data) <= LONGEST_ANSWER else f"the answer of {len(data)} bytes was cut to {LONGEST_ANSWER}"
