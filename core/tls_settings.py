"""The settings of TLS, which `core.settings.Settings` inherits: with which certificate the services answer."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings


class TlsSettings(BaseSettings):
    tls_certificate: Path | None = Field(
        default=None, description="Certificate (PEM, with its chain) with which the services speak TLS; empty: no TLS."
    )
    tls_key: Path | None = Field(default=None, description="The private key of that certificate (PEM).")

    @property
    def tls_contradiction(self) -> str | None:
        """A sentence when one of the two is missing."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            return "ORDERDECK_TLS_CERTIFICATE and ORDERDECK_TLS_KEY belong together: set both"
        return None
