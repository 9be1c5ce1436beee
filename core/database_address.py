"""The address of a database: reads a URL such as postgresql://user:password@host:5432/database?sslmode=require.

An error never repeats a part of the URL, because a password that is not percent-encoded can end up in any of its parts.
"""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

UNREADABLE = (
    "cannot be read; in user, password and database write each of # / ? @ % [ ] and each space percent-encoded "
    "(# is %23, / is %2F, ? is %3F, @ is %40, % is %25), and an IPv6 address in brackets"
)

_PART = r"(?:[^/?#@:\[\]%]|%[0-9A-Fa-f]{2})*"
_URL = re.compile(
    rf"(?:postgresql|postgres)(?:\+[a-z0-9]+)?://"  # SQLAlchemy writes the driver after a plus sign
    rf"(?:(?P<user>{_PART})(?::(?P<password>(?:{_PART}|:)*))?@)?"
    rf"(?P<hosts>(?:[^/?#@%]|%[0-9A-Fa-f]{{2}})*)"
    rf"(?:/(?P<database>{_PART}))?"
    rf"(?:\?(?P<query>(?:[^?#@%]|%[0-9A-Fa-f]{{2}})*))?"
)
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?")

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_CHOICES = {
    "sslmode": _MODES,
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "target_session_attrs": ("any", "primary", "standby", "read-write", "read-only", "prefer-standby"),
}
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
"""The parameters that name a file."""

_FOR_THE_DRIVER = frozenset({*_CHOICES, *FILES, "sslpassword", "passfile", "service", "krbsrvname", "gsslib"})
_OF_THE_ADDRESS = frozenset({"host", "port", "user", "password", "dbname", "database"})
_SCHEMA = frozenset({"schema", "currentSchema", "search_path"})
_NOT_USED = frozenset(
    {
        *("application_name", "fallback_application_name", "ApplicationName", "channel_binding", "client_encoding"),
        *("connect_timeout", "connection_limit", "connectTimeout", "gssencmode", "keepalives", "keepalives_count"),
        *("keepalives_idle", "keepalives_interval", "load_balance_hosts", "max_overflow", "pgbouncer", "pool"),
        *("pool_max_conns", "pool_min_conns", "pool_mode", "pool_recycle", "pool_size", "pool_timeout", "poolSize"),
        *("pool_max_conn_lifetime", "pool_max_conn_idle_time", "prepared_statement_cache_size", "prepareThreshold"),
        *("prepared_statements", "requirepeer", "require_auth", "reWriteBatchedInserts", "serverVersion", "charset"),
        *("server_version", "socket_timeout", "socketTimeout", "sslaccept", "sslcertmode", "sslcompression", "sslsni"),
        *("statement_cache_size", "stringtype", "tcp_user_timeout", "tcpKeepAlive", "timezone", "gssdelegation"),
        *("binaryTransfer", "loginTimeout", "min_protocol_version", "max_protocol_version", "statement_timeout"),
    }
)


@dataclass(frozen=True)
class DatabaseAddress:
    """`hosts` is empty for the usual sockets of this machine. `options` are settings of the session, such as work_mem.

    `driver` are the parameters that the driver takes, `not_used` the names of those that nobody uses.
    """

    user: str | None
    password: str | None = field(repr=False)
    hosts: tuple[tuple[str, int], ...]
    database: str | None
    driver: dict[str, str] = field(repr=False)
    options: dict[str, str]
    not_used: tuple[str, ...]

    @property
    def search_path(self) -> str:
        """The schemas in which the session looks for a name; new tables go to the first one."""
        return self.options.get("search_path", "public")

    @property
    def schema(self) -> str:
        """The schema of orderdeck's tables, as SQL writes it."""
        return self.search_path.split(",", maxsplit=1)[0].strip()

    @property
    def driver_url(self) -> str:
        """A URL that has nothing but the driver's parameters."""
        pairs = (f"{name}={quote(value, safe='')}" for name, value in self.driver.items())
        return "postgresql:///?" + "&".join(pairs) if self.driver else "postgresql://"


def read_address(url: str) -> DatabaseAddress:
    """Read a URL; raises ValueError with what is wrong, which goes on after the name of the setting."""
    if not re.match(r"(?:postgresql|postgres)(?:\+[a-z0-9]+)?://", url):
        raise ValueError("must begin with postgresql://")
    parts = _URL.fullmatch(url)
    if parts is None or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise ValueError(UNREADABLE)
    query = _pairs(parts["query"] or "")
    known = _FOR_THE_DRIVER | _OF_THE_ADDRESS | _SCHEMA | _NOT_USED | {"ssl", "options"}
    for name in query:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ValueError(f"has a parameter that orderdeck does not know{f': {near[0]} is one' if near else ''}")
    driver = {name: value for name, value in query.items() if name in _FOR_THE_DRIVER}
    if "ssl" in query:
        driver.setdefault("sslmode", {"true": "require", "1": "require", "false": "disable", "0": "disable"}.get(
            query["ssl"], query["ssl"]))  # fmt: skip
    for name, choices in _CHOICES.items():
        if driver.get(name, choices[0]) not in choices:
            raise ValueError(f"has a {name} that does not exist: it is one of {', '.join(choices)}")
    options = _options(query.get("options", ""))
    for name in _SCHEMA & query.keys():
        options["search_path"] = '"' + query[name].replace('"', '""') + '"'
    return DatabaseAddress(
        user=_decoded(parts["user"]) or query.get("user"),
        password=_decoded(parts["password"]) or query.get("password"),
        hosts=_hosts(parts["hosts"], query),
        database=_decoded(parts["database"]) or query.get("dbname") or query.get("database"),
        driver=driver,
        options=options,
        not_used=tuple(sorted(_NOT_USED & query.keys())),
    )


MOST_ADDRESSES = 16
_BETWEEN = re.compile(r"\s*,\s*(?=(?:postgresql|postgres)(?:\+[a-z0-9]+)?://)|\s+")


def read_addresses(text: str) -> tuple[str, ...]:
    """The URLs in a text, between which are blanks, or commas; raises ValueError with what is wrong.

    No URL has a blank in it. A comma may stand between the hosts of one URL, so it only separates two URLs if the
    second one's postgresql:// follows it. No part of a URL may have that in it, since each / and : in it is encoded.
    """
    urls = tuple(_BETWEEN.split(text.strip())) if text.strip() else ()
    if len(urls) > MOST_ADDRESSES:
        raise ValueError(f"has {len(urls)} addresses, and at most {MOST_ADDRESSES} are allowed")
    for number, url in enumerate(urls, start=1):
        which = f"address {number} of {len(urls)} "
        if url.startswith(",") or url.endswith(",") or url.count("://") > 1:
            raise ValueError(
                which + "is not told apart from the next one: write whole addresses with blanks between them, and the "
                "hosts of one address with commas and no blanks"
            )
        try:
            address = read_address(url)
        except ValueError as error:
            raise ValueError(f"{which}{error}") from None
        if address.driver.get("target_session_attrs") in {"primary", "read-write"}:
            raise ValueError(which + "wants a server that takes writes (target_session_attrs), and no replica does")
        if url in urls[: number - 1]:
            raise ValueError(which + f"is the same as address {urls.index(url) + 1}")
    return urls


def _pairs(query: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(UNREADABLE)
        if value:
            pairs[_decoded(name) or ""] = _decoded(value) or ""
    return pairs


def _hosts(text: str, query: dict[str, str]) -> tuple[tuple[str, int], ...]:
    ports = [int(port) for port in query.get("port", "").split(",") if port.isdecimal()]
    hosts: list[tuple[str, int]] = []
    for number, host in enumerate(filter(None, (text or query.get("host", "")).split(","))):
        parts = _HOST.fullmatch(host) if text or not host.startswith("/") else None
        if parts is None and not host.startswith("/"):
            raise ValueError(UNREADABLE)
        name = (parts["v6"] or _decoded(parts["name"]) or "localhost") if parts is not None else host
        port = int(parts["port"]) if parts is not None and parts["port"] else (ports or [5432])[
            min(number, len(ports) - 1) if ports else 0]  # fmt: skip
        if not 0 < port < 65536:
            raise ValueError("has a port that does not exist: ports go from 1 to 65535")
        hosts.append((name, port))
    return tuple(hosts)


def _options(text: str) -> dict[str, str]:
    """Settings of the session from a text such as `-c search_path=shop -c work_mem=8MB`."""
    options: dict[str, str] = {}
    try:
        words = iter(shlex.split(text))
    except ValueError:
        words = iter(["?"])
    for word in words:
        setting = next(words, "") if word == "-c" else word.removeprefix("-c").removeprefix("--")
        name, equals, value = setting.partition("=")
        if not equals or not word.startswith("-") or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name.strip()):
            raise ValueError("has options that cannot be read: write options=-c%20NAME%3DVALUE")
        options[name.strip().lower().replace("-", "_")] = value.strip()
    return options


def _decoded(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(UNREADABLE) from None
    if "\0" in decoded:
        raise ValueError(UNREADABLE)
    return decoded
