"""The certificate with which this home's services speak TLS; one sentence says what is wrong with it.

It is read when a daemon starts, as the user that starts it. A renewed one counts from the next start on.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from core.errors import ConfigurationError
from core.folders import open_file
from core.settings import Settings

SOON = timedelta(days=14)  # before its end a certificate is told about
LARGEST = 1 << 20  # bytes of a file


class Tls(NamedTuple):
    """`context` is for servers; the two files are for gRPC, which reads them itself. `until`: when it expires."""

    context: ssl.SSLContext
    certificate: bytes
    key: bytes
    until: datetime

    @property
    def warning(self) -> str | None:
        left = self.until - datetime.now(UTC)
        if left <= timedelta(0):
            return f"the certificate of ORDERDECK_TLS_CERTIFICATE has expired ({self.until:%Y-%m-%d %H:%M} UTC)"
        if left <= SOON:
            return f"the certificate of ORDERDECK_TLS_CERTIFICATE expires soon ({self.until:%Y-%m-%d %H:%M} UTC)"
        return None


def read_tls(settings: Settings) -> Tls | None:
    """None without a certificate in the settings. Raises ConfigurationError."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    from cryptography import x509  # noqa: PLC0415 - most homes have no certificate

    certificate = _read("ORDERDECK_TLS_CERTIFICATE", settings.tls_certificate)
    key = _read("ORDERDECK_TLS_KEY", settings.tls_key)
    try:
        until = x509.load_pem_x509_certificates(certificate)[0].not_valid_after_utc
    except ValueError:
        raise ConfigurationError(
            f"{settings.tls_certificate} (ORDERDECK_TLS_CERTIFICATE) holds no certificate in PEM"
        ) from None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # An empty password: else the library would ask for that of a sealed key on the terminal.
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"is not the key of the certificate in {settings.tls_certificate}"
        else:
            why = "holds no private key in PEM that can be read without a password"
        raise ConfigurationError(f"{settings.tls_key} (ORDERDECK_TLS_KEY) {why}") from None
    return Tls(context, certificate, key, until)


def _read(setting: str, file: Path) -> bytes:
    try:
        with open_file(file) as opened:
            return opened.read(LARGEST)
    except OSError as error:
        raise ConfigurationError(f"{setting}={file} cannot be read: {error.strerror}") from None
