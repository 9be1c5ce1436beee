"""The settings that a program runs with, as people may read them: of a secret it says only whether there is one."""

from __future__ import annotations

from pydantic import SecretStr

from core.printable import without_secrets
from core.settings import Settings, env_names

SET = "(set)"


def shown_settings(settings: Settings) -> dict[str, str]:
    """The value of each setting by the name of its variable; an empty text where there is none."""
    return {env_names(field)[0]: _shown(getattr(settings, field)) for field in type(settings).model_fields}


def _shown(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, SecretStr):
        return SET if value.get_secret_value() else ""
    return str(value).lower() if isinstance(value, bool) else without_secrets(str(value))


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs, each as `NAME: before -> now`; a secret that was replaced by another one does not show."""
    return [
        f"{name}: {before.get(name, '') or 'empty'} -> {value or 'empty'}"
        for name, value in now.items()
        if before.get(name, "") != value
    ]
