"""Newcomers bring words from other harnesses; an unknown key that is such a word gets the right one as its hint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.yamlfile.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.yamlfile.fields import Model

GROUP_SIZE = "the group size belongs to the run: taskcal run --group-size N"
AGENT = "a taskset never names an agent: taskcal run --agent FILE"
ENVIRONMENT = "it goes into environment: {…}"
TIMEOUTS = "did you mean timeouts: {agent: 15m, setup: 10m, grader: 2m}?"
NETWORK = "did you mean network: none or network: bridge, in the environment?"


def _means(key: str, *words: str) -> dict[str, str]:
    return dict.fromkeys(words, f"did you mean {key}?")


IN_ENVIRONMENT = (
    "image build dockerfile docker_image docker_compose sandbox setup start ready finish services env workdir cwd user "
    "network cpus memory files"
)
TASK: Mapping[str, str] = {
    **dict.fromkeys(("epochs", "n_attempts", "num_generations", "num_repeats", "group_size", "repeats"), GROUP_SIZE),
    **dict.fromkeys(("n", "n_samples", "k", "rollouts", "num_rollouts", "trials"), GROUP_SIZE),
    **dict.fromkeys(("agent", "model", "solver", "harness", "policy"), AGENT),
    **dict.fromkeys(IN_ENVIRONMENT.split(), ENVIRONMENT),
    **dict.fromkeys(("timeout", "timeout_sec", "timeout_seconds", "max_agent_timeout_sec", "time_limit"), TIMEOUTS),
    **dict.fromkeys(("allow_internet", "internet", "network_mode"), NETWORK),
    **_means("prompt", "instruction", "instructions", "question", "input", "problem", "problem_statement", "message"),
    **_means("grader", "verifier", "tests", "test", "scorer", "scoring", "rubric", "reward", "score", "evaluate"),
    **_means("grader: {checks: […]}", "checks", "criteria", "assert", "asserts", "evaluate_tool", "assertions"),
    **_means("params", "args", "arguments", "scenario", "vars", "variables", "parameters", "metadata"),
    **_means("variants", "matrix", "parametrize", "samples", "rows", "scenarios", "dataset", "data", "cases"),
    **_means("passing", "threshold", "pass_threshold", "min_score", "passing_score", "success_threshold"),
    **_means("solutions", "solution", "oracle", "gold", "golden", "reference", "target", "solve", "golden_patch"),
    **_means("wrong", "wrong_answers", "negatives", "distractors", "bad_solutions", "hacks"),
    **_means("id", "name", "task_id", "instance_id", "slug", "task"),
    **_means("tags", "labels", "category", "categories", "difficulty", "tag", "keywords"),
    **_means("environment", "runtime", "container"),
    **_means("max_parallel", "max_concurrency", "concurrency", "max_samples"),
}
CHECK: Mapping[str, str] = {
    **_means("run", "command", "cmd", "script", "assert", "test", "bash", "shell", "exec", "code"),
    **_means("weight", "points", "threshold", "value", "max_score", "reward"),
    **_means("name", "id", "title", "description", "criterion"),
    **_means("equals", "expected", "equal", "eq", "is", "target"),
    **_means("matches", "regex", "pattern", "match", "regexp"),
    **_means("contains", "includes", "include", "substring", "icontains", "text"),
    **_means("file", "path", "filename", "file_path"),
    **_means("pointer", "json_path", "jsonpath", "json"),
    **_means("answer", "output", "response", "message"),
    **_means("timeout", "timeout_sec", "timeout_seconds"),
    **_means("in", "service", "container"),
    **_means("required", "must_pass", "mandatory", "gate", "guard", "critical"),
    **_means("absent", "missing", "not_exists", "not_exist"),
    **_means("alone", "isolated", "separate"),
    **dict.fromkeys(("number", "tolerance"), "it goes into answer: {number: …, tolerance: …}"),
}
GRADER: Mapping[str, str] = {
    **_means("checks", "criteria", "asserts", "assertions", "rubric", "items", "tests", "assert", "rubrics"),
    **_means("run", "command", "script", "cmd", "test", "entrypoint"),
    **_means("files", "hidden_files", "tests_dir", "fixtures"),
    **dict.fromkeys(
        ("timeout", "timeout_sec"), "did you mean timeouts: {grader: 2m} in the task, or timeout in a check?"
    ),
    **dict.fromkeys(("threshold", "passing", "pass_threshold"), "did you mean passing, in the task?"),
    "cases": "grader cases are not available in this version",
    **dict.fromkeys(("weight", "score", "reward"), "weights stand in the checks"),
}
ENVIRONMENT_WORDS: Mapping[str, str] = {
    **_means("build: FOLDER, where the Dockerfile lies", "dockerfile", "docker_file", "context", "docker_build"),
    **_means("image", "docker_image", "base_image", "from", "container"),
    **_means("memory", "memory_mb", "mem", "mem_limit", "ram", "memory_limit"),
    **_means("cpus", "cpu", "num_cpus", "cpu_count", "cpu_limit"),
    **_means("pids", "pids_limit", "max_processes"),
    **_means("workdir", "cwd", "working_dir", "work_dir", "working_directory"),
    **_means("network", "allow_internet", "internet", "network_mode", "networks"),
    **_means("files", "volumes", "copy", "mounts", "binds"),
    **_means("env", "environment", "environ", "variables"),
    **_means("ready", "healthcheck", "health", "wait_for"),
    **_means("setup", "install", "prepare", "init", "before", "setup_script", "run"),
    **_means("start", "entrypoint", "command", "on_start", "cmd"),
    **_means("finish", "cleanup", "teardown", "after"),
    **_means("services", "sidecars", "compose", "docker_compose"),
    **dict.fromkeys(("timeout", "timeout_sec"), "did you mean timeouts: {setup: 10m} in the task?"),
}
SERVICE: Mapping[str, str] = {
    **{word: hint for word, hint in ENVIRONMENT_WORDS.items() if word not in ("command", "entrypoint", "cmd")},
    **_means("command", "entrypoint", "cmd", "start", "run"),
    **_means("port", "ports", "expose"),
    **dict.fromkeys(("network", "network_mode"), "a service is in the sandbox's own network"),
}
ATTEMPT: Mapping[str, str] = {
    **_means("run", "command", "script", "cmd", "bash", "solve", "code"),
    **_means("reward_at_most", "max_reward", "at_most", "threshold", "max_score", "reward", "score", "weight"),
    **_means("answer", "output", "message", "response", "final"),
    **_means("name", "id", "title", "description"),
}
TOP: Mapping[str, str] = {
    **_means("taskset", "name", "id", "dataset", "suite", "benchmark", "title"),
    **_means("tasks", "samples", "instances", "problems", "task", "items", "cases"),
    **_means("environments", "environment", "envs", "sandboxes", "images"),
    **_means("graders", "grader", "verifiers", "verifier", "scorers", "rubrics"),
    **_means("defaults", "default", "common", "base", "shared"),
    **dict.fromkeys(("agent", "agents", "model", "models", "solver"), AGENT),
    **dict.fromkeys(("epochs", "n_attempts", "num_generations", "num_repeats", "group_size"), GROUP_SIZE),
    **dict.fromkeys(("timeout_sec", "timeouts", "timeout", "passing", "tags"), "it goes into defaults: {…}, or a task"),
    "threshold": "did you mean passing, in defaults or a task?",
}
AGENT_FILE: Mapping[str, str] = {
    **_means("agent", "name", "id"),
    **_means("kind", "type", "class"),
    **_means("run", "command", "cmd", "script"),
    **_means("timeout", "timeout_sec", "timeout_seconds", "max_timeout"),
    **_means("secrets", "api_keys", "pass_env", "env_from_host", "secret"),
    **_means("success", "probability", "success_rate", "p", "rate"),
    **_means("install", "setup", "pre_install"),
    **_means("workdir", "cwd"),
}
CHAT_FILE: Mapping[str, str] = {
    **{word: hint for word, hint in AGENT_FILE.items() if word not in ("command", "cmd", "script", "p")},
    **_means("base_url", "url", "endpoint", "api_base", "base_urls", "server", "host"),
    **_means("model", "model_name", "checkpoint"),
    **_means("system", "system_prompt", "prompt", "instructions"),
    **_means("max_turns", "max_steps", "max_iterations", "turns", "step_limit"),
    **_means("tool_output", "max_output", "max_tool_output", "output_limit"),
    **_means("api_key_env: NAME, the variable that holds the key", "api_key", "key", "token"),
    **dict.fromkeys(("temperature", "top_p", "max_tokens", "seed"), "it goes into sampling: {…}"),
    **dict.fromkeys(("top_k", "min_p", "reasoning_effort", "chat_template_kwargs"), "it goes into extra_body: {…}"),
}
SAMPLING: Mapping[str, str] = {
    **_means("max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens"),
    **dict.fromkeys(
        ("top_k", "min_p", "stop", "repetition_penalty", "presence_penalty", "frequency_penalty", "reasoning_effort"),
        "it goes into extra_body: {…}",
    ),
}
BY_MODEL: Mapping[str, Mapping[str, str]] = {
    "TasksetModel": TOP,
    "TaskModel": TASK,
    "GraderModel": GRADER,
    "CheckModel": CHECK,
    "AnswerModel": CHECK,
    "EnvironmentModel": ENVIRONMENT_WORDS,
    "ServiceModel": SERVICE,
    "SolutionModel": ATTEMPT,
    "WrongModel": ATTEMPT,
    "SimulatedModel": AGENT_FILE,
    "CommandModel": AGENT_FILE,
    "ChatModel": CHAT_FILE,
    "SamplingModel": SAMPLING,
}


def unknown_key(key: str, model: type[Model]) -> str:
    """Say that `key` is unknown in a map of this kind, and what was probably meant."""
    known = model.known_keys()
    word = BY_MODEL.get(model.__name__, {}).get(key.lower().replace("-", "_"))
    if word:
        return f"unknown key, {word}"
    return f"unknown key{suggest(key, known) or '; known are ' + ', '.join(known)}"
