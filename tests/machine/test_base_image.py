"""The base image that is built where no registry answers: what goes into it, and that it keeps the host's trust."""

from __future__ import annotations

import glob
from pathlib import Path
from uuid import uuid4

import pytest

from taskcal.errors import MissingError
from taskcal.machine.base_image import BUILT_LABELS, base_tar, debian_architecture, host_trust, trust_files
from taskcal.machine.base_image import _write as write
from taskcal.sandbox.engine.building import BuildBounds
from taskcal.sandbox.engine.docker import DockerEngine

BUNDLE = "etc/ssl/certs/ca-certificates.crt"

# Made for this test with `openssl req -x509`; its key was thrown away.
AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBmjCCAT+gAwIBAgIUJ65u+N67ULsaJRMGZOfUCeb959IwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWdGFza2NhbCB0ZXN0IGF1dGhvcml0eTAgFw0yNjExMjIyMjA5
NDRaGA8yMTI2MTAyOTIyMDk0NFowITEfMB0GA1UEAwwWdGFza2NhbCB0ZXN0IGF1
dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFlh3EPBn3c+dAyOcerr
UjwtWucVExEQp6cULz9BUIQem5MrvNXQzRW2laHtoEiq4invhzDIaShLQ98lsFzE
+zajUzBRMB0GA1UdDgQWBBQhyzpw3GXG5eQRqJ/g0cHRjzFEQjAfBgNVHSMEGDAW
gBQhyzpw3GXG5eQRqJ/g0cHRjzFEQjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49
BAMCA0kAMEYCIQC5BJNmatuiGWVmB5N5ZctBuPVJoR+7YQptyT8dsT045AIhAI2p
7sCVylAARORRdVUfYxFv7/zJWUbp744tq2J1JVcU
-----END CERTIFICATE-----
"""


def certificate(body: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


def test_own_certificates_go_where_the_package_looks() -> None:
    """The bundle goes in as it is; what no package brings goes in once more, one to a file, for the next rebuild."""
    bundle = f"# company\n{certificate('A')}{certificate('P')}{certificate('B')}{certificate('A')}"
    files = trust_files(bundle, [certificate("P").replace("\n", "\r\n"), certificate("Q")])
    assert files == {
        BUNDLE: bundle,
        "usr/local/share/ca-certificates/host-1.crt": certificate("A"),
        "usr/local/share/ca-certificates/host-2.crt": certificate("B"),
    }


def test_a_host_without_a_trust_store_brings_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No bundle is no error and no empty bundle, which would trust nobody."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))
    assert host_trust() == {}


def test_the_bundle_that_this_process_trusts_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SSL_CERT_FILE, which every tool on the host obeys, names the store."""
    (tmp_path / "own.pem").write_text(AUTHORITY)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    assert host_trust()[BUNDLE] == AUTHORITY


def test_architectures_have_debian_names() -> None:
    """What engines say, as Go names or as the kernel's, becomes Debian's word; an unknown one is an error."""
    names = ("amd64", "x86_64", "arm64", "aarch64", "arm")
    assert [debian_architecture(name) for name in names] == ["amd64", "amd64", "arm64", "arm64", "armhf"]
    with pytest.raises(MissingError, match="mips"):
        debian_architecture("mips")


def test_a_link_in_the_root_is_replaced_not_followed(tmp_path: Path) -> None:
    """A link that leads out of the new root never lets us write to the host."""
    outside = tmp_path / "host.conf"
    outside.write_text("host's own")
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "root" / "etc" / "resolv.conf").symlink_to(outside)
    write(tmp_path / "root", {"etc/resolv.conf": "", "usr/sbin/policy-rc.d": "#!/bin/sh\n"})
    assert outside.read_text() == "host's own"
    assert not (tmp_path / "root" / "etc" / "resolv.conf").is_symlink()
    assert (tmp_path / "root" / "usr" / "sbin" / "policy-rc.d").stat().st_mode & 0o777 == 0o755


@pytest.mark.docker
@pytest.mark.long
def test_ordinary_dockerfiles_build_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt-get installs in it, and a company's authority survives `ca-certificates`; nothing is left on the host."""
    bundle = Path(f"/{BUNDLE}")
    (tmp_path / "bundle.pem").write_text(f"{bundle.read_text() if bundle.exists() else ''}\n{AUTHORITY}")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle.pem"))
    engine = DockerEngine.connect()
    tag = f"taskcal-test/base:{uuid4().hex}"
    with base_tar(engine.architecture) as tar:
        engine.import_image(tar, tag, labels=BUILT_LABELS, command=("bash",))
    assert glob.glob("/var/tmp/taskcal-base-*") == []  # noqa: PTH207 - a pattern from the root
    context = tmp_path / "context"
    context.mkdir()
    checks = [
        "apt-get update && apt-get install -y --no-install-recommends ca-certificates",
        f"grep -q {AUTHORITY.splitlines()[2]} /{BUNDLE}",
        "test ! -e /usr/share/doc/ca-certificates/changelog.gz && test ! -s /etc/machine-id",
    ]
    (context / "Dockerfile").write_text("\n".join([f"FROM {tag}", *(f"RUN {check}" for check in checks)]))
    try:
        built = engine.builder.build(str(context), BuildBounds(network=True), labels={}, log=lambda _: None)
        engine.remove_image(built)
    finally:
        engine.remove_image(tag)
    assert engine.image(tag) is None
