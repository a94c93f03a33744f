"""The agent that is a shell command in the sandbox: Claude Code, Codex, a script of one's own."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from taskcal.agents import AgentResult, UsageSoFar
from taskcal.agents.builtin import stop_of_result
from taskcal.agents.file_agent import FileAgent, read_secrets, report_usage
from taskcal.agents.missing_program import missing_program
from taskcal.agents.tools.path_programs import ON_PATH, tools_on_path
from taskcal.agents.transcript import Message, Note
from taskcal.errors import AgentInstallLost, ReportedLost
from taskcal.machine.host import search_within
from taskcal.sandbox import ANSWER_FILE, PROMPT_FILE, USAGE_FILE, Script
from taskcal.sandbox.interpreters import as_shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskcal.agents import Attempt
    from taskcal.agents.spec import CommandSpec
    from taskcal.core.rollout import Stop
    from taskcal.sandbox import Sandbox, ScriptResult

LONGEST_VARIABLE = 100 * 1024
"""Bytes of prompt that reach the agent as a variable; the kernel refuses one of 128 KiB with E2BIG."""

TEMPORARY_FAILURE = 75
PATTERN_SECONDS = 2.0
LAST_WORDS = 4096
"""Bytes of each stream in which `lost_pattern` is looked for: an overload that the agent has survived is far behind."""

WRITE_SECONDS = 60.0

START = f"""umask 022
[ -z "${{TASKCAL_PROMPT+x}}" ] || printf %s "$TASKCAL_PROMPT" >{PROMPT_FILE}
{ON_PATH}"""


@dataclass(frozen=True)
class CommandAgent(FileAgent):
    """Runs the command of an agent file as the environment's user, or the file's."""

    spec: CommandSpec

    @property
    def user(self) -> str | None:
        """The file's, or the environment's."""
        return self.spec.user

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """Run the command once, its output streamed to the log."""
        spec, environment = self.spec, attempt.group.task.environment
        user = spec.user or environment.user
        secrets = read_secrets(spec.secrets, os.environ)
        attempt.transcript.add(Message("user", attempt.group.variant.prompt))
        own = {**give_prompt(sandbox, attempt.group.variant.prompt, user), **spec.env, **secrets}
        script = Script(START + as_shell(spec.run), attempt.seconds, user=user, env=own, workdir=spec.workdir)
        with tools_on_path(sandbox, attempt, user) as variables:
            result = sandbox.run(replace(script, env={**variables, **own}), sink=attempt.log, errors=attempt.errors)
        attempt.transcript.add(Note(f"the command ended ({result.how}); agent.log holds what it printed"))
        report_usage(sandbox, attempt, spec.price)
        output, errors = self.redactor.together(
            result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")
        )
        result = replace(result, stdout=output.encode(), stderr=errors.encode())
        if attempt.account == UsageSoFar():  # one that reports usage has worked
            self._check_program(sandbox, result, replace(script, env={**variables, **spec.env}))
        return AgentResult(self._stop(result))

    def _check_program(self, sandbox: Sandbox, result: ScriptResult, script: Script) -> None:
        """Raise AgentInstallLost if the command could not start, because a program is missing in the image."""
        name = missing_program(self.spec.run, result, sandbox, script)
        if name is not None:
            raise AgentInstallLost(
                f"the agent's program {name} was not found or cannot run (exit {result.exit_code}): {result.tail}"
            )

    def _stop(self, result: ScriptResult) -> Stop:
        """Why the agent ended. Raises ReportedLost if it reports that the failure is not its fault."""
        output = b"\n".join(stream[-LAST_WORDS:] for stream in (result.stdout, result.stderr)).decode(errors="replace")
        pattern = self.spec.lost_pattern
        if result.exit_code == TEMPORARY_FAILURE or (pattern and search_within(pattern, output, PATTERN_SECONDS)):
            raise ReportedLost(f"the agent says that it is not its fault (exit {result.exit_code}): {result.tail}")
        return stop_of_result(result)


def give_prompt(sandbox: Sandbox, prompt: str, user: str | None) -> dict[str, str]:
    """The variables that an agent gets; a prompt too long for one is put into its file here, piece by piece."""
    paths = {"TASKCAL_PROMPT_FILE": PROMPT_FILE, "TASKCAL_ANSWER_FILE": ANSWER_FILE, "TASKCAL_USAGE_FILE": USAGE_FILE}
    if len(prompt.encode()) <= LONGEST_VARIABLE:
        return {**paths, "TASKCAL_PROMPT": prompt}
    for piece in pieces(prompt, LONGEST_VARIABLE // 4):
        script = Script(f'printf %s "$PIECE" >>{PROMPT_FILE}', WRITE_SECONDS, user=user, env={"PIECE": piece})
        sandbox.run(script)
    return paths


def pieces(text: str, length: int) -> Iterator[str]:
    """A text in pieces of at most `length` characters (so at most four times as many bytes)."""
    return (text[start : start + length] for start in range(0, len(text), length))
