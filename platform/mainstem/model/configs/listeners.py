"""`listeners`, `advertised.listeners` and `listener.security.protocol.map` as values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mainstem.model.cluster import Endpoint
from mainstem.model.configs.key import split_list
from mainstem.model.errors import ConfigError

SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
PORT_MAX = 65535

_NAME = re.compile(r"[A-Za-z0-9_\-]+")
_HOST = re.compile(r"[0-9A-Za-z\-%._:]*")
_WILDCARDS = ("0.0.0.0", "::")


def parse_protocol_map(key: str, text: str) -> Mapping[str, str]:
    """`NAME:PROTOCOL` pairs, names in capitals.

    Raises: ConfigError.
    """
    protocols: dict[str, str] = {}
    for pair in split_list(text):
        name, colon, protocol = (part.strip().upper() for part in pair.partition(":"))
        if not colon or not _NAME.fullmatch(name):
            raise ConfigError(key, text, f"{pair!r} is not of the form NAME:PROTOCOL")
        if protocol not in SECURITY_PROTOCOLS:
            allowed = ", ".join(SECURITY_PROTOCOLS)
            raise ConfigError(key, text, f"{protocol!r} in {pair!r} is not a security protocol, which are {allowed}")
        if name in protocols:
            raise ConfigError(key, text, f"the listener name {name} appears twice")
        protocols[name] = protocol
    return protocols


def parse_listeners(key: str, text: str, protocols: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """`NAME://host:port` entries. An empty host means every interface; port 0 lets the system choose.

    Raises: ConfigError, telling which entry is wrong and how.
    """
    endpoints = tuple(_parse_listener(key, text, entry, protocols) for entry in split_list(text))
    if not endpoints:
        raise ConfigError(key, text, "at least one NAME://host:port is needed")
    names = [endpoint.listener for endpoint in endpoints]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(key, text, f"the listener name {name} appears twice; each listener has a name of its own")
    return endpoints


def _parse_listener(key: str, text: str, entry: str, protocols: Mapping[str, str]) -> Endpoint:
    name, separator, address = entry.partition("://")
    if not separator:
        raise ConfigError(key, text, f"{entry!r} is not of the form NAME://host:port")
    name = name.strip().upper()
    if not _NAME.fullmatch(name):
        raise ConfigError(key, text, f"the listener name of {entry!r} may have letters, digits, '_' and '-' only")
    host, colon, port_text = address.rpartition(":")
    if not colon or (host.startswith("[") and not host.endswith("]")):
        raise ConfigError(key, text, f"{entry!r} has no port; the form is NAME://host:port")
    host = host.removeprefix("[").removesuffix("]")
    if not _HOST.fullmatch(host):
        raise ConfigError(key, text, f"{host!r} in {entry!r} is not a host name or address")
    if not (port_text.isascii() and port_text.isdecimal()) or int(port_text) > PORT_MAX:
        raise ConfigError(
            key, text, f"{port_text!r} in {entry!r} is not a port, which is a number from 0 to {PORT_MAX}"
        )
    protocol = protocols.get(name)
    if protocol is None:
        known = ", ".join(protocols)
        raise ConfigError(
            key, text, f"the listener name {name} is not in listener.security.protocol.map, which has {known}"
        )
    return Endpoint(listener=name, security_protocol=protocol, host=host, port=int(port_text))


def check_ports(key: str, text: str, endpoints: Sequence[Endpoint]) -> None:
    """Two listeners may share a port on different hosts only if one is IPv4 and the other IPv6 (KIP-797).

    Raises: ConfigError.
    """
    taken: dict[int, Endpoint] = {}
    for endpoint in endpoints:
        other = taken.setdefault(endpoint.port, endpoint)
        if endpoint.port == 0 or other is endpoint or (":" in endpoint.host) != (":" in other.host):
            continue
        raise ConfigError(
            key, text, f"the listeners {other.listener} and {endpoint.listener} both use port {endpoint.port}"
        )


def check_advertised(key: str, text: str, advertised: Sequence[Endpoint], listeners: Sequence[Endpoint]) -> None:
    """Raises: ConfigError for an address clients cannot reach, or a name that `listeners` does not have."""
    names = [endpoint.listener for endpoint in listeners]
    for endpoint in advertised:
        if endpoint.listener not in names:
            raise ConfigError(
                key,
                text,
                f"the listener name {endpoint.listener} is not in listeners, which has {', '.join(names)}",
            )
        if endpoint.host in _WILDCARDS:
            raise ConfigError(
                key, text, f"clients cannot connect to {endpoint.host}; use an address or name they can reach"
            )


def show_listeners(endpoints: Sequence[Endpoint]) -> str:
    return ",".join(f"{endpoint.listener}://{_show_host(endpoint.host)}:{endpoint.port}" for endpoint in endpoints)


def _show_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
