"""`mainstem cluster`: the flags and the output of Kafka's `kafka-cluster.sh`."""

from __future__ import annotations

from collections.abc import Sequence

from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.cluster_commands import connected
from mainstem.cli.output import print_json, width_of
from mainstem.client.admin import Admin
from mainstem.client.cluster_facts import ClusterFacts, describe_cluster

ACTIONS = {"cluster-id": "print the id of the cluster", "list-endpoints": "print the brokers and where they listen"}
COLUMN = 10
EXAMPLES = (
    "mainstem cluster cluster-id --bootstrap-server localhost:9092",
    "mainstem cluster list-endpoints --bootstrap-server localhost:9092",
)


def main(arguments: Sequence[str]) -> int:
    parser = Parser("cluster", "Print the id of a cluster, or its endpoints.", EXAMPLES)
    parser.action(ACTIONS)
    parser.connection()
    parser.value("--bootstrap-controller", "HOST:PORT", "refused: there are no KRaft controllers here")
    parser.add_argument("--config", dest="command_config", metavar="FILE", help="the same as --command-config")
    parser.flag("--include-fenced-brokers", "with list-endpoints: also brokers that are cut off")
    parser.flag("--json", "print the result as JSON")
    options = parser.read(arguments)
    if options.bootstrap_controller is not None:
        parser.error("there are no KRaft controllers here: use --bootstrap-server")
    with connected(options) as admin:
        if options.action == "cluster-id":
            return print_cluster_id(admin, as_json=options.json)
        facts = describe_cluster(admin.cluster, with_fenced=options.include_fenced_brokers)
    if options.json:
        print_json(facts.endpoints)
    else:
        print(endpoints_table(facts))
    return 0


def print_cluster_id(admin: Admin, *, as_json: bool) -> int:
    cluster_id = describe_cluster(admin.cluster).cluster_id
    if as_json:
        print_json({"cluster_id": cluster_id})
        return 0
    if not cluster_id:
        raise CommandError("No cluster ID found. The Kafka version is probably too old.")
    print(f"Cluster ID: {cluster_id}")
    return 0


def endpoints_table(facts: ClusterFacts) -> str:
    hosts = width_of([each.host for each in facts.endpoints], len("HOST"))
    racks = width_of([each.rack or "null" for each in facts.endpoints], COLUMN)
    cells = [("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE")]
    cells += [
        (
            str(each.id),
            each.host,
            str(each.port),
            each.rack or "null",
            "fenced" if each.is_fenced else "unfenced",
            "broker",
        )
        for each in facts.endpoints
    ]
    widths = (COLUMN, hosts, COLUMN, racks, COLUMN, 15)
    return "\n".join(" ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in cells)
