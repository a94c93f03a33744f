"""The words by which servers report a full context, a refusal of content, and what a person has to change.

No two servers use the same words, so these are lists: of codes, which are exact, and of phrases, which are long enough
that no other message contains them. `tests/agents/provider_words.tsv` holds real messages of each kind. A message that
fits none of them is never graded.
"""

from __future__ import annotations

import re

CONTEXT_CODES = frozenset(
    {
        *("context_length_exceeded", "context_window_exceeded", "model_context_window_exceeded", "prompt_too_long"),
        *("exceed_context_size_error", "contextwindowexceedederror", "context_length_error", "input_too_long"),
        "1261",  # Z.ai: "Prompt exceeds max length"
    }
)
REFUSAL_CODES = frozenset(
    {
        *("content_filter", "content_policy_violation", "responsibleaipolicyviolation", "contentpolicyviolationerror"),
        *("data_inspection_failed", "datainspectionfailed", "moderation_blocked", "content_moderation"),
        *("sensitive_words_detected", "inputtextsensitivecontentdetected", "outputtextsensitivecontentdetected"),
        "1301",  # Z.ai: "System detects potentially unsafe or sensitive content in input or generation."
    }
)
VENDOR_CODES = frozenset({"1261", "1301"})
"""Numbers in text that are a server's own codes, and not an HTTP status."""
RATE_CODES = frozenset(
    {"rate_limit_exceeded", "rate_limit_error", "too_many_requests", "slow_down", "overloaded_error"}
)
"""A server that says so wants to be asked again, whatever it writes about paid plans beside it."""
FATAL_CODES = frozenset(
    {
        *("invalid_api_key", "model_not_found", "unsupported_parameter", "unsupported_value", "unknown_parameter"),
        *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"),
    }
)

CONTEXT = re.compile(
    r"""
      maximum\ (context|prompt)\ length | maximum\ model\ length | context[ _](length|window)[ _]exceeded
    | exceeds?\ the\ (model's\ )?(maximum\ )?(available\ )?context\ (length|window|size)
    | exceed\ context\ limit | context\ (window|size|length)\ (exceeds|exceeded|has\ been\ exceeded)
    | contextwindowexceedederror
    | (longer|greater)\ than\ the\ (model's\ )?(maximum\ )?context\ length
    | (prompt|input|messages)\ is\ too\ long | length\ of\ all\ messages\ is\ too\ long
    | prompt\ exceeds\ max(imum)?\ length | tokens\ in\ request\ more\ than\ max\ tokens\ allowed
    | range\ of\ input\ length\ should\ be | inputs`?\ must\ have\ less\ than\ \d+\ tokens
    | input\ length\b.{0,40}exceeds\ the\ maximum\ allowed | prompt\ token\ count\b.{0,40}exceeds\ the\ limit
    | input\ token\ count\b.{0,40}exceeds\ the\ maximum | input\ tokens\ exceed\ the\ configured\ limit
    | reduce\ the\ length\ of\ the\ (messages|input|prompt)
    | max_tokens\ must\ be\ at\ least\ 1,\ got\ -
    | inputs`?\ tokens\ \+\ `?max_new_tokens`?\ must\ be
    | context(\ window)?\ is\ full | exceeded\ model\ token\ limit | too\ many\ input\ tokens\b(?!\ per)
    """,
    re.VERBOSE | re.IGNORECASE,
)
REFUSAL = re.compile(
    r"""
      content[ _]management[ _]policy | content[ _]?policy[ _]?violation | content[ _]filtering[ _]policy
    | violat\w*\s(of\s)?(\w+'?s?\s){0,3}
      (usage|content|safety|moderation|acceptable[ -]use)\s(polic(y|ies)|guidelines?|standards?)
    | (prompt|input|content|text|output|response)\b.{0,30}\bflagged\ (for|as|by|due)\b
      .{0,40}(polic(y|ies)|moderation|safety|harass|hate|violen|sexual|self-harm|illicit|harmful|unsafe|inappropriate)
    | requires\ moderation\ and\ your\ input\ was\ flagged
    | rejected\ (as\ a\ result\ of|by)\ our\ safety\ system | (content|prompt)\b.{0,40}\bfor\ safety\ reasons
    | (input|output)\ (data|text|content)\b.{0,20}\bmay\ contain\ (inappropriate|sensitive)
    | potentially\ (unsafe|sensitive)\b.{0,20}\bcontent | content\ exists\ risk
    | rejected\ because\ it\ was\ considered\ high\ risk
    """,
    re.VERBOSE | re.IGNORECASE,
)
INFRASTRUCTURE = re.compile(
    r"schema|database|\bsql|constraint|firewall|\bwaf\b|health|captcha|cloudflare|\brpc\b|connection|cancell?ed|deadline"
    r"|unavailable|time[sd]?[ -]?out\b|crashed|\blogging\b|\bauth(entication|orization)?\b|csrf|content-length",
    re.IGNORECASE,
)
"""A failure of something beside the model: no phrase means a full context, or a refusal, in a message about it."""
ELSEWHERE = re.compile(
    rf"{INFRASTRUCTURE.pattern}|json|worker|account|organi[sz]ation|quota|rate limit|\bbot\b|ip address|gateway|network"
    r"|traffic|deployment|configuration|template|\bnot (been )?flagged",
    re.IGNORECASE,
)
"""What "violates" and "flagged" are also written about."""
PAGE = re.compile(r"<(!doctype|html|head|title|body|\?xml|h1)\b", re.IGNORECASE)
"""How a page begins that stands in the place of an API's answer: it comes from something between."""
NOT_WORDS = re.compile(rf"\s*([{{\[]|{PAGE.pattern})", re.IGNORECASE)
"""A page, or raw JSON: a body without a message. Neither is a server's word about a conversation."""
KEY = re.compile(
    r"(incorrect|invalid) api[ _]key|api[ _]key (is )?(not valid|invalid)|invalid authentication", re.IGNORECASE
)
MODEL = re.compile(
    r"invalid model\b|not a valid model|model\b.{0,200}?\b(not found|does not exist|not exist)", re.IGNORECASE
)
MONEY = re.compile(
    r"insufficient[ _](balance|quota|credits)|exceeded your current quota|plan and billing|billing[ _](hard|not)",
    re.IGNORECASE,
)
REQUEST = re.compile(
    r"enable-auto-tool-choice|requires --jinja|does not support (tools|function)|unsupported (parameter|value)",
    re.IGNORECASE,
)
REASONING = re.compile(r"missing\b.{0,20}reasoning_content", re.IGNORECASE)
TOO_LARGE = re.compile(r"request too large", re.IGNORECASE)
AGAIN = re.compile(r"(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?) ?(ms|s|m|seconds?|minutes?)\b", re.IGNORECASE)
"""How long to wait, in a message without the header for it."""

NUMBER = r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d{3,9})(?!\w)"
COUNT = re.compile(NUMBER)
FILLERS = r"(?:\ (?:the|of|is|model'?s?|token|context|input|prompt|sequence|length|size|limit|window)){0,5}[:(\ ]*"
MOST = re.compile(
    rf"""(?:
      (?:less|fewer|greater|longer|larger|more)\ than | at\ most | up\ to | above | only | <=? | >=?
    | (?:limit|max(?:imum)?|exceeds?) | max_(?:model|seq|sequence|context|input|prompt)_len(?:gth)?
    ){FILLERS}{NUMBER}
    | {NUMBER}\ (?:tokens?\ )?(?:maximum|max\b|limit)""",
    re.VERBOSE | re.IGNORECASE,
)
SIZED = re.compile(
    r"\btokens\b|\btoken (count|length|limit)\b|\b(input|prompt|context|sequence)[ _](length|size|window)\b",
    re.IGNORECASE,
)
OTHER_LIMIT = re.compile(
    r"\bper\b|\b[tr]p[md]\b|quota|\brate\b|balance|credit|output|completion|max_(new_|completion_)?tokens|daily|monthly"
    r"|second|minute|hour|batch|\bstop\b|logit|logprob|vocab|\btoken ids?\b|cache|\bpool\b|memory|\bgpu"
    r"|header|session|concurren"
    r"|\d ?([kmgt]i?b|bytes?|characters?|chars|requests?|images?|tools?|functions?|items|files?)\b",
    re.IGNORECASE,
)
"""Limits that are not the context's: a rate, a budget, the length of the answer, or a number of something else."""


def are_beyond_limit(words: str) -> bool:
    """Whether a message names a limit of the input in tokens, and a number above it."""
    if not SIZED.search(words) or OTHER_LIMIT.search(words):
        return False
    limits = [_whole(text) for match in MOST.finditer(words) for text in match.groups() if text]
    return bool(limits) and max(_whole(text) for text in COUNT.findall(words)) > min(limits)


def _whole(text: str) -> int:
    return int(text.replace(",", ""))
