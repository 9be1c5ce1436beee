"""A small OpenID Connect issuer: it serves its description and its public keys over HTTP, and signs access tokens."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

SigningKey = RSAKey | ECKey


class Issuer:
    """`asked` counts the questions for its keys; while it is `away` it answers 503."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.keys: list[SigningKey] = []
        self.add_key("first", RSAKey.generate_key(2048))
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = issuer.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add_key(self, name: str, key: SigningKey) -> None:
        self.keys.append(type(key).import_key(key.as_dict(private=True) | {"kid": name, "use": "sig"}))

    def answer(self, path: str) -> tuple[int, bytes]:
        if self.away:
            return 503, b""
        if path.endswith("openid-configuration"):
            return 200, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        self.asked += 1
        return 200, json.dumps(KeySet(list(self.keys)).as_dict(private=False)).encode()

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Right claims; those that are None are left out."""
        now = int(time.time())
        right = {"iss": self.url, "aud": "orderdeck", "sub": "ana", "iat": now, "exp": now + 300, "roles": ["desk"]}
        return {name: value for name, value in (right | changed).items() if value is not None}

    def token(self, *, key: int = 0, header: dict[str, Any] | None = None, **changed: Any) -> str:
        signing = self.keys[key]
        algorithm = "RS256" if isinstance(signing, RSAKey) else "ES256"
        named = {"alg": algorithm, "kid": signing.kid, "typ": "at+jwt"} | (header or {})
        return jwt.encode(named, self.claims(**changed), signing, algorithms=[named["alg"]])
