"""What a handler may know of the request it serves, beside the request itself."""

from __future__ import annotations

import msgspec


class RequestContext(msgspec.Struct, frozen=True, kw_only=True):
    """One per request. `listener` is the name of the listener the client came through, `local_host` and `local_port` the
    address it reached there, `principal` e.g. `User:ANONYMOUS`."""

    api_version: int
    client_id: str | None
    client_host: str
    listener: str
    local_host: str
    local_port: int
    principal: str = "User:ANONYMOUS"

    @property
    def client_host_in_java(self) -> str:
        """What tools show and Kafka stores: `InetAddress.toString` without a name."""
        return self.client_host if self.client_host.startswith("/") else f"/{self.client_host}"
