"""`mainstem broker-api-versions`: the flags and the output of Kafka's `kafka-broker-api-versions.sh`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainstem.cli.arguments import Parser
from mainstem.cli.cluster_commands import connected
from mainstem.cli.kafka_apis import APIS
from mainstem.cli.output import print_json
from mainstem.client.cluster_facts import Endpoint, describe_cluster

EXAMPLES = (
    "mainstem broker-api-versions --bootstrap-server localhost:9092",
    "mainstem broker-api-versions --bootstrap-server localhost:9092 --json",
)
Range = tuple[int, int]


def main(arguments: Sequence[str]) -> int:
    parser = Parser("broker-api-versions", "Print which requests brokers answer, and in which versions.", EXAMPLES)
    parser.connection()
    parser.flag("--json", "print the versions as JSON")
    options = parser.read(arguments)
    documents = []
    with connected(options) as admin:
        for endpoint in describe_cluster(admin.cluster).endpoints:
            served = admin.cluster.broker(endpoint.id).served()
            if options.json:
                documents.append({"broker": endpoint, "apis": [_document(key, each) for key, each in served.items()]})
            else:
                print(described(endpoint, served))
    if options.json:
        print_json(documents)
    return 0


def described(endpoint: Endpoint, served: Mapping[int, Range]) -> str:
    """`host:port (id: 1 …) -> (` and a line for each request that Kafka 4.1's tool knows or the broker serves."""
    fenced = "true" if endpoint.is_fenced else "false"
    head = (
        f"{endpoint.host}:{endpoint.port} (id: {endpoint.id} rack: {endpoint.rack or 'null'} isFenced: {fenced}) -> ("
    )
    keys = sorted({*APIS, *served})
    return "\n".join([head, ",\n".join(f"\t{api_line(key, served.get(key))}" for key in keys), ")"])


def api_line(key: int, served: Range | None) -> str:
    api = APIS.get(key)
    name = f"{api.name}({key})" if api is not None else f"UNKNOWN({key})"
    if served is None:
        return f"{name}: UNSUPPORTED"
    span = f"{served[0]} to {served[1]}" if served[0] != served[1] else str(served[0])
    if api is None:
        return f"{name}: {span}"
    usable = min(served[1], api.newest)
    return f"{name}: {span} [usable: {usable if usable >= max(served[0], api.oldest) else 'none'}]"


def _document(key: int, served: Range) -> dict[str, object]:
    api = APIS.get(key)
    return {"key": key, "name": api.name if api is not None else None, "min": served[0], "max": served[1]}
