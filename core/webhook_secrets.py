"""Webhook secrets, as Standard Webhooks 1.0 writes them: `whsec_` and 32 random bytes in base64."""

from __future__ import annotations

import base64
import secrets

SECRET_BYTES = 32
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def make_webhook_id() -> str:
    return "wh_" + "".join(secrets.choice(_LETTERS) for _ in range(10))


def make_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """The secret as its receiver keeps it. It is shown once."""
    return f"whsec_{base64.b64encode(secret).decode()}"
