"""How many connections single addresses may have: the text of `max.connections.per.ip.overrides`."""

from __future__ import annotations

from collections.abc import Mapping

from mainstem.model.configs.key import split_list
from mainstem.model.errors import ConfigError

KEY = "max.connections.per.ip.overrides"
_LOCALHOST = ("127.0.0.1", "::1")


def read_overrides(text: str) -> Mapping[str, int]:
    """`127.0.0.1:200,[::1]:5` → numbers by address. Of names only `localhost` is known: nothing is looked up.

    Raises: ConfigError.
    """
    limits: dict[str, int] = {}
    for element in split_list(text):
        host, _, number = element.rpartition(":")
        host = host.strip().removeprefix("[").removesuffix("]")
        if not (number.isascii() and number.isdecimal()):
            raise ConfigError(KEY, element, "pairs of an address and a number, such as 127.0.0.1:200")
        for address in _LOCALHOST if host == "localhost" else (_read_address(element, host),):
            limits[address] = int(number)
    return limits


def _read_address(element: str, host: str) -> str:
    # Imported where it is needed: most brokers start without.
    from ipaddress import ip_address

    try:
        return str(ip_address(host))
    except ValueError:
        raise ConfigError(KEY, element, f"{host!r} is not an address; names are not looked up") from None
