"""The HTTP route that each method stands for, as proto/orderdeck/v1/orderdeck.proto says it in the option `http`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor

from daemons.grpc_api import orderdeck_pb2

_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Route:
    """A method and its route. `names` are the fields of the request that stand in the path."""

    service: str
    method: str
    request: Descriptor
    answer: Descriptor
    is_stream: bool
    verb: str
    path: str
    names: tuple[str, ...]

    @property
    def is_command(self) -> bool:
        return self.verb != "GET"

    @property
    def full_name(self) -> str:
        return f"/{self.service}/{self.method}"


def _route(method: MethodDescriptor) -> Route:
    options: Any = method.GetOptions()
    verb, path = str(options.Extensions[orderdeck_pb2.http]).split(" ")
    return Route(
        service=method.containing_service.full_name,
        method=method.name,
        request=method.input_type,
        answer=method.output_type,
        is_stream=method.server_streaming,
        verb=verb,
        path=path,
        names=tuple(_FIELD.findall(path)),
    )


ROUTES: Mapping[str, Route] = {
    route.full_name: route
    for service in orderdeck_pb2.DESCRIPTOR.services_by_name.values()
    for route in map(_route, service.methods)
}
"""Every route, by the full name of its method, such as `/orderdeck.v1.Queries/GetOrder`."""

SERVICES = tuple(dict.fromkeys(route.service for route in ROUTES.values()))
