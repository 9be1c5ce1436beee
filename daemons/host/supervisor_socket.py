"""Calls of supervisord over its socket: bounded in time and size, and safe whatever listens there."""

from __future__ import annotations

import http.client
import re
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any, cast
from xml.parsers.expat import ExpatError

from core.errors import Unavailable
from daemons.host.bounded_http import BROKEN, exchange

WITHIN = 5.0  # seconds for one call
NOT_IN_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
"""Bytes that a log may hold and that supervisord passes on although XML has no place for them."""


class SupervisorFault(Unavailable):
    """supervisord refused a call; `code` is its number for the reason."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"supervisord refuses: {text}")
        self.code = code


class SupervisorSilent(Unavailable):
    """supervisord runs, since the kernel takes connections for it, and does not answer: it is frozen, or overloaded."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"supervisord has not answered within {seconds:g} s: if it is frozen, `kill -CONT` lets it go on, and "
            "`orderdeck down` ends it with all programs"
        )


class SupervisorFailed(Unavailable):
    """supervisord met an error of its own in a call, such as a log that is not UTF-8."""


class SupervisorSocket:
    def __init__(self, path: Path, *, within: float = WITHIN) -> None:
        self.path = path
        self._within = within

    def call(self, method: str, *arguments: object) -> Any:
        """The answer to a call of its XML-RPC interface `supervisor`, or of another one that the method names.

        Raises SupervisorFault, SupervisorFailed and SupervisorSilent, or Unavailable with a sentence when there is no
        supervisord.
        """
        request = xmlrpc.client.dumps(
            cast("Any", arguments), method if "." in method else f"supervisor.{method}", allow_none=True
        ).encode()
        connection = _Connection(self.path, self._within)
        try:
            answer = exchange(connection, "POST", "/RPC2", request, {"Content-Type": "text/xml"}, within=self._within)
        except FileNotFoundError:
            raise Unavailable(f"supervisord does not run: there is no socket {self.path}") from None
        except ConnectionRefusedError:
            raise Unavailable(
                f"nobody answers at {self.path}: supervisord, or what forwards its socket, has ended"
            ) from None
        except PermissionError:
            raise Unavailable(f"this user may not use the socket {self.path}") from None
        except TimeoutError:
            raise SupervisorSilent(self._within) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"supervisord does not answer ({error or type(error).__name__})") from None
        if answer.status == http.HTTPStatus.UNAUTHORIZED:
            raise Unavailable(f"the supervisord at {self.path} wants a name and a password: it is not orderdeck's")
        if answer.status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise SupervisorFailed("supervisord has met an error in this call; its own log says which")
        if answer.status != http.HTTPStatus.OK:
            raise Unavailable(f"what listens at {self.path} is no supervisord: it answers with {answer.status}")
        return self._read(answer.body)

    def _read(self, body: bytes) -> Any:
        try:
            if b"<!" in body:  # an entity may stand for gigabytes; supervisord sends none, and no comment
                raise ValueError("it declares entities")
            [answer], _ = xmlrpc.client.loads(NOT_IN_XML.sub(b"?", body))
        except xmlrpc.client.Fault as fault:
            code = fault.faultCode if isinstance(cast("object", fault.faultCode), int) else 0
            raise SupervisorFault(code, str(fault.faultString)[:200]) from None
        except (xmlrpc.client.Error, ExpatError, LookupError, *BROKEN) as error:
            reason = str(error)[:100] or type(error).__name__
            raise Unavailable(f"what listens at {self.path} is no supervisord ({reason})") from None
        return answer


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, within: float) -> None:
        super().__init__("127.0.0.1", timeout=within)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
