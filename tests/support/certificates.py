"""Certificates for tests, made by openssl: an authority, and what it signs, as PEM files."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """`server` holds its key and then its certificate; `other` is of an authority that nobody trusts."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def server(self) -> Path:
        return self.folder / "server.pem"

    @property
    def client(self) -> Path:
        return self.folder / "client.crt"

    @property
    def client_key(self) -> Path:
        return self.folder / "client.key"

    @property
    def other(self) -> Path:
        return self.folder / "other.crt"


def make_certificates(folder: Path) -> Certificates:
    """For a server at localhost and 127.0.0.1, and for a client named `orderdeck`. Takes about 0.2 s.

    From 3.13 on, Python asks for the use of an authority's key and for key identifiers (VERIFY_X509_STRICT).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ca", "other"):
        names = "-subj", f"/CN=orderdeck test {name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign"
        _openssl(folder, "req", "-x509", *_new_key(name), *names, "-out", f"{name}.crt")
    for name, subject in (("server", "localhost"), ("client", "orderdeck")):
        (folder / f"{name}.cnf").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        _openssl(folder, "req", *_new_key(name), "-subj", f"/CN={subject}", "-out", f"{name}.csr")
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", f"{name}.cnf", "-out", f"{name}.crt",
        )  # fmt: skip
    certificates = Certificates(folder)
    certificates.server.write_text((folder / "server.key").read_text() + (folder / "server.crt").read_text())
    return certificates


def _new_key(name: str) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")


def _openssl(folder: Path, *arguments: str) -> None:
    program = shutil.which("openssl")
    assert program is not None, "there is no openssl to make certificates"
    subprocess.run([program, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
