"""One rollout of a chat agent: what is said, what is done in the sandbox, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.agents import AgentResult
from taskcal.agents.answer import write_answer
from taskcal.agents.chat.endpoint import CallContext, ConversationEnd
from taskcal.agents.chat.messages import (
    MOST_CALLS,
    assistant_message,
    length_of,
    request,
    tool_definition,
    tool_message,
)
from taskcal.agents.tools.agent_tool import ToolReply, call_tool
from taskcal.agents.transcript import Message, Note, TokenUsage, ToolCall, ToolResult
from taskcal.agents.usage import add_cost
from taskcal.core.rollout import Stop, Usage
from taskcal.core.text.foreign_text import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskcal.agents import Attempt
    from taskcal.agents.chat.endpoint import ChatEndpoint, ModelAnswer
    from taskcal.agents.chat.limiter import Clock
    from taskcal.agents.chat.messages import Json, Reply
    from taskcal.agents.spec import ChatSpec
    from taskcal.agents.tools.agent_tool import AgentTool
    from taskcal.sandbox import Sandbox

WAITING_SECONDS = 3600.0
"""How long a rollout may wait for its endpoint in all, where nothing else bounds it."""
SLACK_BYTES = 2048
MOST_SAID = 64 * 1024 * 1024
"""Characters of a conversation, more than any context holds; an endpoint could fill the memory with it."""
CUT_OFF = "Your last message was cut off {where}. Go on with a shorter one, or with a tool call."
CUT_CALL = "This call was cut off {where} and was not run. Make it shorter: write long files in several calls."
TOO_MANY = "Only the first {most} of your {all} tool calls were carried out."
CHARACTERS = 6
"""At most so many per token: a low estimate of the tokens that were added since the server last counted."""
NEARLY = 0.99
"""Servers keep some tokens of the context for themselves, so a full one ends a little below its size."""


@dataclass
class Conversation:
    """One rollout: what has been said so far, and how much of the agent's time is used up."""

    spec: ChatSpec
    endpoint: ChatEndpoint
    sandbox: Sandbox
    attempt: Attempt
    clock: Clock
    tools: Sequence[AgentTool]
    window: int | None = None
    """Tokens of the model's context, if its server reports it."""
    messages: list[Json] = field(default_factory=list)
    usages: list[TokenUsage] = field(default_factory=list)
    worked: float = 0.0
    replica: int | None = None
    until: float = 0.0

    def run(self) -> AgentResult:
        """Begin with the prompt, go on until there is a reason to stop."""
        wall = self.attempt.wall
        self.until = self.clock.now() + (self.attempt.timeout + WAITING_SECONDS if wall is None else wall)
        if self.spec.system:
            self._say("system", self.spec.system)
        self._say("user", self.attempt.group.variant.prompt)
        return AgentResult(self._talk(), self.attempt.transcript.digest)

    def _talk(self) -> Stop:
        while len(self.usages) < self.spec.max_turns:
            if sum(length_of(message) for message in self.messages) > MOST_SAID:
                self._note(f"the conversation is longer than {MOST_SAID // 1024**2} MiB, more than any context holds")
                return Stop.CONTEXT_FULL
            answer = self.endpoint.complete(self._body(), self._call_context())
            if isinstance(answer, ConversationEnd):
                self._note(answer.reason)
                return answer.stop
            stop = self._take(answer)
            if stop is not None:
                return stop
        return Stop.MAX_TURNS

    def _body(self) -> Json:
        return request(self.spec, self.attempt.seed, self.messages, [tool_definition(tool) for tool in self.tools])

    def _call_context(self) -> CallContext:
        is_full = bool(self.usages) and self._fills(self._least_tokens())
        return CallContext(self.replica, self.until, is_first=not self.usages, note=self._note, is_full=is_full)

    def _least_tokens(self) -> int | None:
        """Tokens that the next request has at least: those of the last one, and the text that was added since."""
        counted = self.usages[-1].input_tokens
        last = max(place for place, message in enumerate(self.messages) if message["role"] == "assistant")
        added = sum(len(message["content"] or "") for message in self.messages[last:])
        return None if counted is None else counted + added // CHARACTERS

    def _fills(self, tokens: int | None) -> bool:
        return self.window is not None and tokens is not None and tokens >= NEARLY * self.window

    def _take(self, answer: ModelAnswer) -> Stop | None:
        """Take in one answer; None to go on."""
        reply = answer.reply
        self.replica = answer.replica
        self.worked += answer.seconds
        self._charge(reply.usage)
        self._record(reply)
        self.messages.append(assistant_message(reply, with_reasoning=self.spec.send_reasoning))
        if self._left() <= 0:
            return Stop.TIMEOUT
        if reply.is_refused:
            return Stop.REFUSED
        if reply.is_full or (reply.is_cut and not reply.calls and self._fills(tokens_of(reply.usage))):
            self._note("the context is full: the answer ended there")
            return Stop.CONTEXT_FULL
        if reply.calls:
            return self._act(reply)
        if reply.is_cut:
            self._resume(reply)
            return None
        return self._finish(reply.content)

    def _charge(self, usage: TokenUsage) -> None:
        self.usages.append(usage)
        account = self.attempt.account
        account.turns, account.usage = len(self.usages), add_cost(total(self.usages), self.spec.price)

    def _act(self, reply: Reply) -> Stop | None:
        """Carry out the calls of one answer, one after the other as they are written: they share one sandbox."""
        for call in reply.calls:
            if self._left() <= 0:
                return Stop.TIMEOUT
            begun = self.clock.now()
            if reply.is_cut and call is reply.calls[-1] and not call.is_whole:
                result = ToolReply(CUT_CALL.format(where=self._limit(reply)))
            else:
                result = call_tool(self.tools, self.sandbox, call.name, call.arguments, self._left())
            seconds = self.clock.now() - begun
            self.worked += seconds
            content = cut(result.content, self.spec.tool_output + SLACK_BYTES)
            self.attempt.transcript.add(ToolResult(call.id, content, round(seconds, 3), result.exit_code))
            self.messages.append(tool_message(call, content))
        if reply.left_out:
            self._say("user", TOO_MANY.format(most=MOST_CALLS, all=MOST_CALLS + reply.left_out))
        return Stop.TIMEOUT if self._left() <= 0 else None

    def _resume(self, reply: Reply) -> None:
        """After an answer that was cut, by `max_tokens` or by the server's own limit: the model may go on."""
        self._say("user", CUT_OFF.format(where=self._limit(reply)))

    def _limit(self, reply: Reply) -> str:
        """Where an answer was cut, for the model; a limit that the agent file did not set is noted."""
        most, tokens = self.spec.sampling.max_tokens, reply.usage.output_tokens
        if most is None:
            self._note("the server's own limit cut this answer; sampling.max_tokens of the agent file asks for another")
        limit = tokens if most is None else most
        return "at its limit" if limit is None else f"at {limit} tokens"

    def _finish(self, answer: str) -> Stop:
        """Write the last message to the answer file. If the agent has blocked that path, it has no answer."""
        remark = write_answer(self.sandbox, answer, self.attempt.group.task.environment.user)
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
        input_tokens=_sum([entry.input_tokens for entry in usages]),
        cached_tokens=_sum([entry.cached_tokens for entry in usages]),
        output_tokens=_sum([entry.output_tokens for entry in usages]),
    )


def tokens_of(usage: TokenUsage) -> int | None:
    """Tokens of a request and its answer together; None without a count."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens + usage.output_tokens


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None
