"""Newcomers bring words from other harnesses: the hint that such a key of an agent file gets, by the word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.yamlfile.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

AGENT_HINTS: Mapping[str, str] = {
    **did_you_mean("agent", "name", "id"),
    **did_you_mean("kind", "type", "class"),
    **did_you_mean("run", "command", "cmd", "script"),
    **did_you_mean("timeout", "timeout_sec", "timeout_seconds", "max_timeout"),
    **did_you_mean("secrets", "api_keys", "pass_env", "env_from_host", "secret"),
    **did_you_mean("success", "probability", "success_rate", "p", "rate"),
    **did_you_mean("install", "setup", "pre_install"),
    **did_you_mean("workdir", "cwd"),
}
CHAT_HINTS: Mapping[str, str] = {
    **{word: hint for word, hint in AGENT_HINTS.items() if word not in ("command", "cmd", "script", "p")},
    **did_you_mean("base_url", "url", "endpoint", "api_base", "base_urls", "server", "host"),
    **did_you_mean("model", "model_name", "checkpoint"),
    **did_you_mean("system", "system_prompt", "prompt", "instructions"),
    **did_you_mean("max_turns", "max_steps", "max_iterations", "turns", "step_limit"),
    **did_you_mean("tool_output", "max_output", "max_tool_output", "output_limit"),
    **did_you_mean("api_key_env: NAME, the variable that holds the key", "api_key", "key", "token"),
    **dict.fromkeys(("temperature", "top_p", "max_tokens", "seed"), "it goes into sampling: {…}"),
    **dict.fromkeys(("top_k", "min_p", "reasoning_effort", "chat_template_kwargs"), "it goes into extra_body: {…}"),
}
SAMPLING_HINTS: Mapping[str, str] = {
    **did_you_mean("max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens"),
    **dict.fromkeys(
        ("top_k", "min_p", "stop", "repetition_penalty", "presence_penalty", "frequency_penalty", "reasoning_effort"),
        "it goes into extra_body: {…}",
    ),
}
