"""Which container engine is meant: DOCKER_HOST, a Docker context, or the default socket, chosen as the docker CLI does.

Not the SDK's own `docker.context`: it takes the default socket for a context that does not exist, raises a bare
`Exception` for a broken file, and looks in the current folder if there is no config.json.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "default"
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")
SSH = (
    "{source} names {url}, and taskcal does not speak ssh to an engine; forward its socket with "
    "`ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock {target}` and set DOCKER_HOST=unix:///tmp/docker.sock"
)


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of a TLS connection, None for one that is not there; `verify` says whether the engine's is checked."""

    ca: str | None
    cert: str | None
    key: str | None
    verify: bool


@dataclass(frozen=True, slots=True)
class EngineEndpoint:
    """Where an engine should answer.

    `source` is the setting that names it as NAME=VALUE (currentContext is that of config.json), or '' for the default
    socket. `warning` says what could not be read on the way, or is ''.
    """

    url: str = DEFAULT_SOCKET
    source: str = ""
    certificates: Certificates | None = None
    warning: str = ""

    def __str__(self) -> str:
        """The address with the setting that it is from, unless that shows it already; on one line."""
        text = f"{self.url} ({self.source})" if self.source and self.url not in self.source else self.url
        return " ".join(text.split())


def find_endpoint(environment: Mapping[str, str]) -> EngineEndpoint:
    """The engine that a person has chosen: DOCKER_HOST before DOCKER_CONTEXT before the current context.

    As for the docker CLI a config.json that cannot be read chooses nothing. Raises MissingError for a context that does
    not exist or cannot be read, and for an address of ssh.
    """
    if host := environment.get("DOCKER_HOST"):
        certificates = None if host.startswith("unix:") else _certificates_of(environment)
        return _usable(EngineEndpoint(host, f"DOCKER_HOST={host}", certificates))
    folder = _folder(environment)
    if name := environment.get("DOCKER_CONTEXT"):
        return _of_context(folder, name, f"DOCKER_CONTEXT={name}")
    try:
        name = _current_context(config_file(environment))
    except ValueError as error:
        place = " ".join(f"{config_file(environment)}: {error}".split())
        return EngineEndpoint(warning=f"{place}; the default Docker context is used")
    return _of_context(folder, name, f"currentContext={name}") if name else EngineEndpoint()


def configured_engine(environment: Mapping[str, str]) -> str:
    """The setting that chooses an engine, as NAME=VALUE, also if it leads nowhere; '' for the default socket."""
    named = next((name for name in ("DOCKER_HOST", "DOCKER_CONTEXT") if environment.get(name)), "")
    if named:
        return "" if environment[named] == DEFAULT and named == "DOCKER_CONTEXT" else f"{named}={environment[named]}"
    try:
        current = _current_context(config_file(environment))
    except ValueError:
        return ""
    return f"currentContext={current}" if current and current != DEFAULT else ""


def config_file(environment: Mapping[str, str]) -> Path:
    """The file of Docker's settings, which may not exist."""
    return _folder(environment) / "config.json"


def _folder(environment: Mapping[str, str]) -> Path:
    """The folder of Docker's settings; without a home, one that does not exist."""
    if named := environment.get("DOCKER_CONFIG"):
        return Path(named)
    return Path(environment.get("HOME") or os.path.expanduser("~")) / ".docker"  # noqa: PTH111 - raises nothing


def _certificates_of(environment: Mapping[str, str]) -> Certificates | None:
    """The certificates that DOCKER_TLS_VERIFY and DOCKER_CERT_PATH ask for."""
    named, verify = environment.get("DOCKER_CERT_PATH"), bool(environment.get("DOCKER_TLS_VERIFY"))
    if not (named or verify):
        return None
    folder = Path(named) if named else _folder(environment)
    ca, cert, key = (str(folder / name) for name in CERTIFICATES)
    return Certificates(ca, cert, key, verify)


def _current_context(file: Path) -> str:
    """The current context, '' for none. Raises ValueError if the file is there and cannot be read."""
    try:
        settings = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    name = settings.get("currentContext", "") if isinstance(settings, dict) else None
    if not isinstance(name, str):
        raise ValueError("currentContext is not a text" if isinstance(settings, dict) else "not a JSON object")  # noqa: TRY004
    return name


def _of_context(folder: Path, name: str, source: str) -> EngineEndpoint:
    """The engine of a context. Raises MissingError."""
    if name == DEFAULT:
        return EngineEndpoint()
    number = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    file = folder / "contexts" / "meta" / number / "meta.json"
    url, verify, has_tls = _read_meta(file, source)
    stored = folder / "contexts" / "tls" / number / "docker"
    ca, cert, key = (str(stored / part) if (stored / part).is_file() else None for part in CERTIFICATES)
    certificates = Certificates(ca, cert, key, verify) if has_tls or ca or (cert and key) else None
    return _usable(EngineEndpoint(url, source, None if url.startswith("unix:") else certificates))


def _read_meta(file: Path, source: str) -> tuple[str, bool, bool]:
    """Of a context the address, whether the engine's certificate is checked, and whether TLS is asked for anyway."""
    try:
        found = json.loads(file.read_bytes())
        engine = found["Endpoints"]["docker"]
        url, skips = engine.get("Host") or DEFAULT_SOCKET, engine.get("SkipTLSVerify", False)
    except (FileNotFoundError, NotADirectoryError):
        name = " ".join(source.split())
        raise MissingError(
            f"{name}: there is no such Docker context; choose another with `docker context use`, or set DOCKER_HOST"
        ) from None
    except OSError as error:
        raise _unreadable(file, source, str(error.strerror)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(file, source, "no docker endpoint in it") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(file, source, f"not JSON ({error})") from error
    if not isinstance(url, str):
        raise _unreadable(file, source, "its Host is not a text")
    return url, not skips, bool(skips)


def _unreadable(file: Path, source: str, reason: str) -> MissingError:
    place = " ".join(f"{source}: {file}: {reason}".split())
    return MissingError(f"{place}; choose another Docker context, or set DOCKER_HOST")


def _usable(endpoint: EngineEndpoint) -> EngineEndpoint:
    """The endpoint, unless it is of a kind that only the docker CLI can use. Raises MissingError."""
    scheme, _, rest = endpoint.url.partition("://")
    if scheme.lower() == "ssh":
        target = rest.partition("/")[0]
        host, colon, port = target.rpartition(":")
        words = f"-p {port} {host}" if colon and port.isdecimal() else target
        words = SSH.format(source=endpoint.source.partition("=")[0], url=endpoint.url, target=words)
        raise MissingError(" ".join(words.split()))
    return endpoint
