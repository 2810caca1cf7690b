"""`mainstem delete-records`: the flags and the output of Kafka's `kafka-delete-records.sh`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.cluster_commands import connected
from mainstem.cli.json_files import number_of, objects, read_object, text_of
from mainstem.cli.output import print_json
from mainstem.client.records import DeletedRecords, delete_records
from mainstem.model.ids import TopicPartition

EXAMPLES = (
    "mainstem delete-records --bootstrap-server localhost:9092 --offset-json-file offsets.json",
    """echo '{"partitions": [{"topic": "orders", "partition": 0, "offset": 42}], "version": 1}' > offsets.json""",
)


def main(arguments: Sequence[str]) -> int:
    parser = Parser("delete-records", "Delete the records that lie before an offset of their partition.", EXAMPLES)
    parser.connection()
    parser.value("--offset-json-file", "FILE", "which partitions, and before which offset; -1 deletes all there is")
    parser.flag("--json", "print what was done as JSON")
    options = parser.read(arguments)
    parser.require(options, "--offset-json-file")
    before = read_offsets(options.offset_json_file)
    with connected(options) as admin:
        if not options.json:
            print("Executing records delete operation", flush=True)
        outcome = delete_records(admin.cluster, before)
    if options.json:
        print_json([_document(partition, deleted) for partition, deleted in outcome.items()])
        return 1 if any(deleted.error for deleted in outcome.values()) else 0
    print("Records delete operation completed:")
    for partition, deleted in outcome.items():
        if deleted.error is None:
            print(f"partition: {partition}\tlow_watermark: {deleted.low_watermark}")
        else:
            print(f"partition: {partition}\terror: {deleted.error.as_java}")
    return 0


def read_offsets(path: str) -> Mapping[TopicPartition, int]:
    """Raises: CommandError."""
    before: dict[TopicPartition, int] = {}
    twice = []
    for entry in objects(read_object(path), "partitions"):
        partition = TopicPartition(text_of(entry, "topic"), number_of(entry, "partition"))
        if partition in before:
            twice.append(str(partition))
        before[partition] = number_of(entry, "offset")
    if twice:
        raise CommandError(f"Offset json file contains duplicate topic partitions: {','.join(twice)}")
    return before


def _document(partition: TopicPartition, deleted: DeletedRecords) -> Mapping[str, object]:
    return {
        "topic": partition.topic,
        "partition": partition.partition,
        "low_watermark": deleted.low_watermark if deleted.error is None else None,
        "error": deleted.error.code.name if deleted.error is not None else None,
    }
