"""A certificate for localhost that only these tests trust, with its key, and servers that use it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBZjCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjQwMTAxMDAwMDAwWhgPMjEyMzEyMzEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFEcLJcdbaYqgBdD
b4JV1IWtPEd5+MxwMh+WitQYiI4Fvfw2bpC1lPBDT0zGnbu/GVvLBa9qE8Wr201e
gSgMmiKjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBQc456lgxLJS85H0qX6PS3lwNpXXDAKBggqhkjOPQQD
AgNHADBEAiA+MCFemUzUoQwc/3fMnJVGzlyp+36bg7MhaSCdLZ692gIgdfdchA7P
6hFSWosqHC1gYp3C5/CfaPdpZh1boiea4/4=
-----END CERTIFICATE-----
"""
KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggVkfFV/LkDTfKeyB
9CMJGVDsfw30Usypj0+LhpttOMmhRANCAARRHCyXHW2mKoAXQ2+CVdSFrTxHefjM
cDIflorUGIiOBb38Nm6QtZTwQ09Mxp27vxlbywWvahPFq9tNXoEoDJoi
-----END PRIVATE KEY-----
"""
"""It opens nothing: the certificate is for the loopback, and no other program knows it."""


def serving(folder: Path) -> ssl.SSLContext:
    """A server's side; `folder` gets `cert.pem`, which a client can be made to trust by SSL_CERT_FILE."""
    (folder / "cert.pem").write_text(CERTIFICATE)
    (folder / "both.pem").write_text(CERTIFICATE + KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context
