"""The parameters that a route takes: those of its handler, and those of what the framework calls for it before."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.typing import FieldDefinition


@cache
def fields_of(handler: HTTPRouteHandler) -> Mapping[str, FieldDefinition]:
    """Every parameter by its name in Python, in order."""
    dependencies: Any = handler.resolve_dependencies()
    own = handler.parsed_fn_signature
    used = (dependencies[name].parsed_fn_signature for name in own.parameters if name in dependencies)
    signatures = chain((own,), used)
    return {
        name: field
        for signature in signatures
        for name, field in signature.parameters.items()
        if name not in dependencies
    }


def takes_several(field: FieldDefinition) -> bool:
    """Whether it may be given several times."""
    return any(part.is_non_string_sequence for part in (field, *field.inner_types))
