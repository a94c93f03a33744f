"""The words that taskset and agent files are made of: each is a type with its rule and its JSON Schema."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from taskcal.core.shell.script import shebang_of
from taskcal.core.task import Network, NetworkMode, Scalar, as_text
from taskcal.core.text.number_limits import LARGEST_NUMBER
from taskcal.yamlfile.docstrings import field_docstrings
from taskcal.yamlfile.nodes import Map
from taskcal.yamlfile.paths import Folder, check_delivery, check_destination
from taskcal.yamlfile.patterns import check_pattern
from taskcal.yamlfile.quantities import parse_duration, parse_memory
from taskcal.yamlfile.scalars import Written, check_writable, quoting_advice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import CoreSchema

IDENTIFIER = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
LONGEST_VALUE = 64 * 1024  # bytes; the kernel bears 128 KiB in one variable
SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-6, 1e6
SMALLEST_REWARD = 1e-6
"""The least that can be asked for; a reward of 0 would meet less, since rewards are compared with a tolerance."""
FEWEST_CPUS = 0.01
"""The least that Docker accepts; what rounds to 0 would mean no limit at all."""
TAKEN = re.compile(
    "PATH|HOME|IFS|SHELL|ENV|BASH_ENV|PWD|OLDPWD|CDPATH|USER|LOGNAME|TERM|TMPDIR|SHELLOPTS|BASHOPTS|GLOBIGNORE|PS[0-9]"
    "|PROMPT_COMMAND|PYTHON(PATH|HOME|STARTUP)|PERL5(LIB|OPT)|RUBY(OPT|LIB)|NODE_(OPTIONS|PATH)"
)
TAKEN_PREFIXES = ("LD_", "TASKCAL_", "BASH_FUNC_")
IMAGE = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
HOST = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::(\d{1,5}))?"
)
LONGEST_HOST = 253


class Model(BaseModel):
    """A map of a YAML file: unknown keys are refused, and null means that the key was not given.

    The docstring of a field is its description in the JSON Schema.

    `nullable` are the keys at which null is a value. `hints` complete the message about an unknown key, by the key in
    lower case with underscores.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    nullable: ClassVar[frozenset[str]] = frozenset()
    hints: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: object) -> object:
        if not isinstance(data, dict) or None not in data.values():
            return data
        return {key: value for key, value in data.items() if value is not None or cls._keeps_null(key)}

    @classmethod
    def _keeps_null(cls, key: str) -> bool:
        """Keep a null that means something, and one under an unknown key, so that the key is reported."""
        return key in cls.nullable or key not in cls.known_keys()

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        """Name the keys as they are written in YAML."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe each key by the docstring of its field."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in field_docstrings(cls).items():
            properties[cls.model_fields[name].alias or name]["description"] = text
        return schema


def _one_line(text: str) -> str:
    if not text.strip() or "\n" in text or len(text) > 200:
        raise ValueError("must be one line of 1 to 200 characters")
    return text


def _tag(text: str) -> str:
    if not re.fullmatch(r"[\w.:/+-]{1,100}", text):
        raise ValueError("must be a word of letters, digits and ._:/+-")
    return text


def check_param_name(name: str) -> str:
    """Give `name` back if a param may have it; raises ValueError for what a shell refuses or already uses."""
    if not SHELL_NAME.fullmatch(name):
        raise ValueError(f'must be a name that a shell accepts (letters, digits, _), not "{name[:60]}"')
    if TAKEN.fullmatch(name) or name.startswith(TAKEN_PREFIXES):
        raise ValueError(f"{name} means something to the shell or to taskcal; choose another name")
    if name == "id":
        raise ValueError("id names a variant; choose another name for the param")
    return name


def _env_name(name: str) -> str:
    if not SHELL_NAME.fullmatch(name):
        raise ValueError(f'must be a name that a shell accepts (letters, digits, _), not "{name[:60]}"')
    if name.startswith(TAKEN_PREFIXES):
        raise ValueError(f"{name} is taskcal's or the loader's own; choose another name")
    return name


def byte_length(text: str) -> int:
    """Give the length in UTF-8; at once for ASCII, which may be counted very often."""
    return len(text) if text.isascii() else len(text.encode())


def with_written(value: object) -> object:
    """Give a map whose values become text, each with its own text in the file if that is another one."""
    return {key: value.as_written(key) for key in value} if isinstance(value, Map) and value.written else value


def check_scalar(value: object) -> Scalar:
    """Give `value` back if it can be a param.

    Raises ValueError for lists, maps, NaN, what no variable holds, and what is not written as the text that it becomes.
    """
    if isinstance(value, str):
        check_writable(value)
        if byte_length(value) > LONGEST_VALUE:
            raise ValueError("longer than 64 KiB, more than a variable may hold; put it in a file (files: …)")
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    if isinstance(value, Written) and check_scalar(value.value) is not None:
        raise ValueError(quoting_advice(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError("must be one value (text, number, true, false or null), not a list or a map")


def _env_value(value: object) -> str:
    scalar = check_scalar(value)
    if scalar is None:
        raise ValueError('must have a value; write "" for an empty one')
    return as_text(scalar)


def _image(name: str) -> str:
    if len(name) > 500 or not IMAGE.fullmatch(name):
        raise ValueError(f'not an image name: "{name[:60]}"; write NAME, NAME:TAG or NAME@sha256:DIGEST')
    return name


def _network(value: object) -> Network:
    if value in ("none", "bridge"):
        return Network(NetworkMode(str(value)))
    if isinstance(value, list) and value:
        return Network(NetworkMode.HOSTS, tuple(map(_allowed_host, value)))
    raise ValueError("must be none, bridge, or a list of allowed hosts")


def _allowed_host(host: object) -> str:
    """A name, and a port if it is not the usual ones; nothing else can stand for an address inside the sandbox."""
    match = HOST.fullmatch(host) if isinstance(host, str) else None
    if match is None or len(match[1]) > LONGEST_HOST or not 0 < int(match[2] or 1) < 65536:
        raise ValueError(f'not a host: "{str(host)[:60]}"; write NAME or NAME:PORT, each one by itself, without *')
    if match[1].replace(".", "").isdecimal():
        raise ValueError(f'a host is listed by its name, not by an address: "{match[1]}"')
    return match[0].lower()


def folder_of(info: ValidationInfo) -> Folder:
    """The folder of the taskset that is validated."""
    if not isinstance(info.context, Folder):
        raise TypeError("a model with paths or patterns is validated with the taskset's folder as its context")
    return info.context


def _host_path(source: str, info: ValidationInfo) -> str:
    return folder_of(info).inside(source)


def _files(files: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    folder_of(info).bring(files)
    return files


def _build_folder(source: str, info: ValidationInfo) -> str:
    return folder_of(info).build_folder(source)


def _pattern(text: str, info: ValidationInfo) -> str:
    folder_of(info).allowance.compile(text)
    return check_pattern(text)


def _weight(weight: float) -> float:
    if 0 < weight < SMALLEST_WEIGHT:
        raise ValueError(f"must be 0, or from {SMALLEST_WEIGHT:f} to {LARGEST_WEIGHT:.0f}")
    return weight


def check_script(source: str) -> str:
    """Give `source` back if `sh` or the interpreter of its first line can run it; raises ValueError otherwise."""
    shebang_of(source)
    return source


def _answer(text: str) -> str:
    if len(text) > 1024**2:
        raise ValueError("longer than 1 MiB")
    return text


def _number(value: object) -> int | float:
    """A finite number, whole ones kept whole: a double holds only those up to 2^53."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) <= LARGEST_NUMBER:
            return value
        raise ValueError("must be a finite number")
    shown = f', not "{value[:40]}"' if isinstance(value, str) else ""
    way = '; a param is written "{{ name }}" here' if shown.startswith(', not "$') else ""
    raise ValueError(f"must be a number{shown}{way}")


def _tolerance(value: object) -> int | float:
    number = _number(value)
    if number < 0:
        raise ValueError(f"must be at least 0, not the number {number}")
    return number


DURATION_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^[0-9.]+(ms|s|m|h|d)?"}, {"type": "number", "exclusiveMinimum": 0}],
    "description": "90s, 15m, 1h, or seconds",
}
MEMORY_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^[0-9.]+ ?[bkmgtBKMGT]?"}, {"type": "integer", "minimum": 6291456}],
    "description": "2g, 512m, or bytes",
}
NETWORK_SCHEMA = {"anyOf": [{"enum": ["none", "bridge"]}, {"type": "array", "items": {"type": "string"}}]}
TEMPLATE_SCHEMA = {"type": "string", "pattern": r"\{[{%]", "description": "a template such as {{ total }}"}
NUMBER_SCHEMA = {"anyOf": [{"type": "number"}, TEMPLATE_SCHEMA]}
TOLERANCE_SCHEMA = {"anyOf": [{"type": "number", "minimum": 0}, TEMPLATE_SCHEMA]}
SCALAR_SCHEMA = {"type": ["string", "number", "boolean", "null"]}
USER = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?$"

Id = Annotated[str, Field(pattern=rf"^{IDENTIFIER}$")]
Line = Annotated[str, AfterValidator(_one_line)]
Tag = Annotated[str, AfterValidator(_tag)]
ParamName = Annotated[str, AfterValidator(check_param_name)]
ParamValue = Annotated[Scalar, PlainValidator(check_scalar), WithJsonSchema(SCALAR_SCHEMA)]
EnvName = Annotated[str, AfterValidator(_env_name)]
EnvValue = Annotated[str, BeforeValidator(_env_value), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Env = Annotated[dict[EnvName, EnvValue], BeforeValidator(with_written)]
Seconds = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(DURATION_SCHEMA)]
Memory = Annotated[int, BeforeValidator(parse_memory), WithJsonSchema(MEMORY_SCHEMA)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Image = Annotated[str, AfterValidator(_image)]
User = Annotated[str, Field(pattern=USER)]
NetworkField = Annotated[Network, PlainValidator(_network), WithJsonSchema(NETWORK_SCHEMA)]
Destination = Annotated[str, AfterValidator(check_destination)]
HostPath = Annotated[str, AfterValidator(_host_path)]
BuildFolder = Annotated[str, AfterValidator(_build_folder)]
Delivery = Annotated[str, AfterValidator(check_delivery)]
Files = Annotated[dict[Delivery, HostPath], AfterValidator(_files)]
Number = Annotated[int | float, PlainValidator(_number), WithJsonSchema(NUMBER_SCHEMA)]
Tolerance = Annotated[int | float, PlainValidator(_tolerance), WithJsonSchema(TOLERANCE_SCHEMA)]
Answer = Annotated[str, AfterValidator(_answer)]
ScriptText = Annotated[str, AfterValidator(check_script)]
Passing = Annotated[float, Field(ge=SMALLEST_REWARD, le=1, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=LARGEST_WEIGHT, allow_inf_nan=False), AfterValidator(_weight)]
Cpus = Annotated[float, Field(ge=FEWEST_CPUS, le=1024, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
