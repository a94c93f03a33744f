"""A Debian base image made from Debian's archive, for machines that no container registry answers.

A module of its own, beside `host`, because it is a recipe and not a system call: what goes into the image can be read
and tested as values. The image is what `debian:bookworm-slim` is, as ordinary Dockerfiles expect it, plus the host's
trust store, so that installs inside work behind a company's own certificate authority.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from taskcal.errors import MissingError
from taskcal.machine import host

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BASE_IMAGE = "debian:bookworm-slim"
BUILT_LABELS = {"taskcal.base": "debootstrap"}
"""On every image that was made here; a pulled one does not carry them."""

PACKAGES = ("debootstrap", "debian-archive-keyring")
_SUITE = "bookworm"
_MIRROR = "http://deb.debian.org"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_OWN_CERTIFICATES = "usr/local/share/ca-certificates"
_PACKAGED_CERTIFICATES = Path("/usr/share/ca-certificates")
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_IMAGE_FILES = {
    "etc/apt/sources.list": f"""\
deb {_MIRROR}/debian {_SUITE} main
deb {_MIRROR}/debian {_SUITE}-updates main
deb {_MIRROR}/debian-security {_SUITE}-security main
""",
    # Downloaded packages and translations would only make every layer larger.
    "etc/apt/apt.conf.d/50taskcal": """\
APT::Keep-Downloaded-Packages "false";
Acquire::Languages "none";
""",
    # What a slim image leaves out stays out in later installs; licences stay in. A half-written image is thrown away
    # anyway, so dpkg need not wait for the disk.
    "etc/dpkg/dpkg.cfg.d/50taskcal": """\
force-unsafe-io
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
""",
    # An install in a Dockerfile must not try to start services.
    "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
    # Of the host that built it, nothing.
    "etc/hostname": "",
    "etc/machine-id": "",
    "etc/resolv.conf": "",
}
_EXECUTABLE = frozenset({"usr/sbin/policy-rc.d"})
_LEFT_OUT = (
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./tmp/*",
    "./debootstrap",
    "./usr/share/info/*",
    "./usr/share/locale/*/*",
    "./usr/share/man/*/*",
    "./var/cache/apt/*",
    "./var/cache/ldconfig/aux-cache",
    "./var/cache/debconf/*-old",
    "./var/lib/apt/lists/*",
    "./var/lib/dpkg/*-old",
    "./var/log/*.log",
    "./var/log/apt/*",
)
_ARCHITECTURES = {
    "amd64": "amd64",
    "x86_64": "amd64",
    "arm64": "arm64",
    "aarch64": "arm64",
    "arm": "armhf",
    "386": "i386",
    "ppc64le": "ppc64el",
    "s390x": "s390x",
}


def debian_architecture(engine_architecture: str) -> str:
    """Debian's name for what an engine calls its architecture. Raises MissingError where Debian has none."""
    try:
        return _ARCHITECTURES[engine_architecture]
    except KeyError:
        raise MissingError(
            f"{BASE_IMAGE} cannot be built for {engine_architecture!r}: let the engine reach a registry and pull it"
        ) from None


@contextlib.contextmanager
def base_tar(architecture: str) -> Iterator[BinaryIO]:
    """Build the root file system with debootstrap, as root, and give it as an open tar file; about 30 seconds.

    `architecture` is the engine's name for it. Raises MissingError where debootstrap fails. The temporary folder, about
    350 MB, is gone afterwards however it ends.
    """
    # Not /tmp: where that is in memory it forbids device files, and debootstrap refuses.
    with tempfile.TemporaryDirectory(prefix="taskcal-base-", dir="/var/tmp") as name:
        folder, root = Path(name).resolve(), Path(name).resolve() / "root"
        try:
            _debootstrap(debian_architecture(architecture), root)
        finally:
            _unmount_below(root)
        _write(root, {**_IMAGE_FILES, **host_trust()})
        _pack(root, folder / "root.tar")
        with (folder / "root.tar").open("rb") as tar:
            yield tar


def _debootstrap(architecture: str, root: Path) -> None:
    wanted = ["--variant=minbase", "--force-check-gpg", f"--arch={architecture}", _SUITE]
    command = ["debootstrap", *wanted, str(root), f"{_MIRROR}/debian"]
    try:
        done = host.run_program(command, seconds=900)
    except TimeoutError as error:
        raise MissingError(f"building {BASE_IMAGE}: {error}; see whether {_MIRROR} can be reached") from None
    if done.status != 0:
        raise MissingError(f"building {BASE_IMAGE}: debootstrap failed ({done.last_line}); run: {' '.join(command)}")


def _unmount_below(root: Path) -> None:
    """Undo the mounts of a debootstrap that was cut short: deleting through them would reach the host's own /proc."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for point in reversed([point for point in mounted if point.startswith(f"{root}/")]):
        host.run_program(["umount", "--lazy", point], seconds=30)


def _write(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # it may be a link that leads out of the root
        target.write_text(text, encoding="utf-8")
        target.chmod(0o755 if path in _EXECUTABLE else 0o644)


def _pack(root: Path, tar: Path) -> None:
    """Write `root` into a tar file, owners and links kept; where debootstrap made /proc a link, it becomes a folder."""
    if (root / "proc").is_symlink():
        (root / "proc").unlink()
        (root / "proc").mkdir()
    left_out = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    keep = ["--numeric-owner", "--one-file-system", "--wildcards", "--anchored"]
    done = host.run_program(["tar", "-C", str(root), *keep, *left_out, "-cf", str(tar), "."], seconds=300)
    if done.status != 0:
        raise MissingError(f"building {BASE_IMAGE}: tar failed ({done.last_line}); see whether the disk is full")


def host_trust() -> dict[str, str]:
    """The files that carry this host's trust store into an image; none where it has no store we know."""
    bundle = Path(os.environ.get("SSL_CERT_FILE", f"/{_BUNDLE}"))
    if not bundle.is_file():
        return {}
    packaged = (path.read_text(encoding="utf-8", errors="replace") for path in _PACKAGED_CERTIFICATES.rglob("*.crt"))
    return trust_files(bundle.read_text(encoding="utf-8", errors="replace"), packaged)


def trust_files(bundle: str, packaged: Iterable[str]) -> dict[str, str]:
    """Path and text of the files that make an image trust what `bundle` (PEM) trusts.

    The bundle alone would be enough until somebody installs `ca-certificates`, which rebuilds it: so each certificate
    that is not among the `packaged` ones also goes where that package looks for a machine's own, one to a file.
    """
    known = {_body(found) for text in packaged for found in _CERTIFICATE.findall(text)}
    own = {_body(found): found for found in _CERTIFICATE.findall(bundle) if _body(found) not in known}
    files = {f"{_OWN_CERTIFICATES}/host-{number}.crt": f"{pem}\n" for number, pem in enumerate(own.values(), start=1)}
    return {_BUNDLE: bundle, **files}


def _body(certificate: str) -> str:
    return "".join(certificate.split())
