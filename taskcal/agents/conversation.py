"""One rollout of a chat agent: what is said, what is done in the sandbox, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.agents import Acted
from taskcal.agents.answer import hand_in
from taskcal.agents.chat_messages import answered, request, said
from taskcal.agents.chat_tools import cut, described, use
from taskcal.agents.endpoint import Ended, Wish
from taskcal.agents.transcript import Message, Note, TokenUsage, ToolCall, ToolResult
from taskcal.agents.usage import priced
from taskcal.core.rollout import Stop, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskcal.agents import Attempt
    from taskcal.agents.chat_messages import Call, Json, Reply
    from taskcal.agents.chat_spec import ChatSpec
    from taskcal.agents.chat_tools import Tool
    from taskcal.agents.endpoint import Answered, Endpoint
    from taskcal.agents.limiter import Clock
    from taskcal.sandbox import Sandbox

WAITING_SECONDS = 3600.0
"""How long a rollout may wait for its endpoint in all, where nothing else bounds it."""
SLACK_BYTES = 2048
CUT_OFF = "Your last message was cut off at {limit} tokens. Go on with a shorter one, or with a tool call."


@dataclass
class Conversation:
    """One rollout: what has been said so far, and how much of the agent's time is used up."""

    spec: ChatSpec
    endpoint: Endpoint
    sandbox: Sandbox
    attempt: Attempt
    clock: Clock
    tools: Sequence[Tool]
    messages: list[Json] = field(default_factory=list)
    usages: list[TokenUsage] = field(default_factory=list)
    worked: float = 0.0
    replica: int | None = None
    until: float = 0.0

    def run(self) -> Acted:
        """Begin with the prompt, go on until there is a reason to stop."""
        wall = self.attempt.wall
        self.until = self.clock.now() + (self.attempt.timeout + WAITING_SECONDS if wall is None else wall)
        if self.spec.system:
            self._say("system", self.spec.system)
        self._say("user", self.attempt.group.variant.prompt)
        return Acted(self._talk(), self.attempt.transcript.digest)

    def _talk(self) -> Stop:
        while len(self.usages) < self.spec.max_turns:
            answer = self.endpoint.complete(self._body(), self._wish())
            if isinstance(answer, Ended):
                self._note(answer.reason)
                return answer.stop
            stop = self._take(answer)
            if stop is not None:
                return stop
        return Stop.MAX_TURNS

    def _body(self) -> Json:
        return request(self.spec, self.attempt.seed, self.messages, [described(tool) for tool in self.tools])

    def _wish(self) -> Wish:
        return Wish(self.replica, self.until, is_first=not self.usages, note=self._note)

    def _take(self, answer: Answered) -> Stop | None:
        """Take in one answer; None to go on."""
        reply = answer.reply
        self.replica = answer.replica
        self.worked += answer.seconds
        self._charge(reply.usage)
        self._record(reply)
        self.messages.append(said(reply, with_reasoning=self.spec.send_reasoning))
        if self._left() <= 0:
            return Stop.TIMEOUT
        if reply.is_refused:
            return Stop.REFUSED
        if reply.calls:
            return self._act(reply.calls)
        return self._resume() if reply.is_cut else self._finish(reply.content)

    def _charge(self, usage: TokenUsage) -> None:
        self.usages.append(usage)
        account = self.attempt.account
        account.turns, account.usage = len(self.usages), priced(total(self.usages), self.spec.price)

    def _act(self, calls: Iterable[Call]) -> Stop | None:
        """Carry out the calls of one answer, one after the other as they are written: they share one sandbox."""
        for call in calls:
            if self._left() <= 0:
                return Stop.TIMEOUT
            begun = self.clock.now()
            used = use(self.tools, self.sandbox, call.name, call.arguments, self._left())
            seconds = self.clock.now() - begun
            self.worked += seconds
            content = cut(used.content, self.spec.tool_output + SLACK_BYTES)
            self.attempt.transcript.add(ToolResult(call.id, content, round(seconds, 3), used.exit_code))
            self.messages.append(answered(call, content))
        return Stop.TIMEOUT if self._left() <= 0 else None

    def _resume(self) -> Stop | None:
        """After an answer that was cut: by `max_tokens` the model may go on, else it was the end of its context."""
        if self.spec.sampling.max_tokens is None:
            return Stop.CONTEXT_FULL
        self._say("user", CUT_OFF.format(limit=self.spec.sampling.max_tokens))
        return None

    def _finish(self, answer: str) -> Stop:
        """Put the last message where checks look for the answer; an agent that has barred the way has barred it."""
        remark = hand_in(self.sandbox, answer, self.attempt.group.task.environment.user)
        if remark:
            self._note(remark)
        return Stop.FINISHED

    def _left(self) -> float:
        return self.attempt.timeout - self.worked

    def _say(self, role: str, content: str) -> None:
        self.messages.append({"role": role, "content": content})
        self.attempt.transcript.add(Message(role, content))

    def _record(self, reply: Reply) -> None:
        transcript = self.attempt.transcript
        transcript.add(Message("assistant", reply.content or reply.refusal, reply.reasoning))
        for call in reply.calls:
            transcript.add(ToolCall(call.id, call.name, call.arguments))
        transcript.add(reply.usage)

    def _note(self, text: str) -> None:
        self.attempt.transcript.add(Note(text))


def total(usages: Sequence[TokenUsage]) -> Usage:
    """The tokens of all answers together; None for a count that not every answer has."""
    return Usage(
        input_tokens=_sum([one.input_tokens for one in usages]),
        cached_tokens=_sum([one.cached_tokens for one in usages]),
        output_tokens=_sum([one.output_tokens for one in usages]),
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None
