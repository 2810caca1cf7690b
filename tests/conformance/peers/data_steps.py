"""Command lines about offsets, records, the cluster, transactions and clients that Kafka's tools and ours are compared on."""

from peers.transcripts import Step

LIST_TRANSACTIONS = 66
OFFSETS, RECORDS, DIRS = "kafka-get-offsets", "kafka-delete-records", "kafka-log-dirs"
OFFSET_STEPS = [
    Step(f"{OFFSETS} --topic orders-{{who}}"),
    Step(f"{OFFSETS} --topic .*{{who}} --time earliest", compares_brokers=False),
    Step(f"{OFFSETS} --topic orders-{{who}} --time -1 --partitions 1"),
    Step(f"{OFFSETS} --topic orders-{{who}} --time {{middle_ms}}"),
    Step(f"{OFFSETS} --topic orders-{{who}} --time max-timestamp"),
    Step(f"{OFFSETS} --topic orders-{{who}} --time earliest-local"),
    Step(f"{OFFSETS} --topic orders-{{who}} --time latest-tiered"),
    Step(f"{OFFSETS} --topic orders-{{who}} --time 9999999999999"),
    Step(f"{OFFSETS} --topic-partitions orders-{{who}}:0-1,other-{{who}}:1-"),
    Step(f"{OFFSETS} --topic-partitions :-1 --exclude-internal-topics", compares_brokers=False),
    Step(f"{OFFSETS} --topic nosuch", says="Error occurred: Could not match any topic-partitions"),
    Step(
        f"{OFFSETS} --topic orders-{{who}} --time yesterday", says="Error occurred: Malformed time argument yesterday"
    ),
    Step(f"{OFFSETS} --topic-partitions orders:x", says="Invalid rule specification: orders:x"),
    Step(
        f"{OFFSETS} --topic t --topic-partitions t:0", says="--topic-partitions cannot be used with --topic or --part"
    ),
    Step(f"{OFFSETS} --partitions x", says="--partitions expects a comma separated list of numeric partition ids"),
    Step(f"{RECORDS} --offset-json-file {{folder}}/offsets.json"),
    Step(f"{RECORDS} --offset-json-file {{folder}}/late.json", says="OffsetOutOfRangeException"),
    Step(f"{RECORDS} --offset-json-file {{folder}}/twice.json", says="Offset json file contains duplicate topic part"),
    Step(f"{RECORDS} --offset-json-file {{folder}}/no-offset.json", says="No such field exists: `offset`"),
    Step(f"{RECORDS} --offset-json-file {{folder}}/no-partitions.json", says="Missing partitions field"),
    Step(f"{RECORDS} --offset-json-file {{folder}}/version.json", says="Not supported version field value 2"),
    Step(f"{RECORDS} --offset-json-file {{folder}}/broken.json", says="The input string is not a valid JSON"),
    Step(f"{RECORDS} --offset-json-file {{folder}}/nowhere.json", says="Unable to read file"),
    Step(RECORDS, says='Missing required argument "[offset-json-file]"'),
    Step(f"{OFFSETS} --topic cut-{{who}} --time earliest"),
    Step(f"{DIRS} --describe --topic-list orders-{{who}}"),
    Step(f"{DIRS} --describe --topic-list nosuch"),
    Step(f"{DIRS} --describe --broker-list 7", says="ERROR: The given brokers do not exist from --broker-list: 7."),
    Step(DIRS, says='Missing required argument "[describe]"'),
]


ELECT, MOVE, TRANSACTIONS = "kafka-leader-election", "kafka-reassign-partitions", "kafka-transactions"
CLUSTER_STEPS = [
    Step("kafka-cluster cluster-id"),
    Step("kafka-cluster list-endpoints"),
    Step("kafka-features describe", compares_brokers=False),
    Step("kafka-features upgrade --feature nosuch=1", compares_brokers=False, says="1 out of 1 operation(s) failed."),
    Step("kafka-features upgrade --feature nosuch", says="Can't parse feature=level string nosuch"),
    Step("kafka-broker-api-versions", compares_brokers=False),
    Step(f"{ELECT} --election-type preferred --topic orders-{{who}} --partition 0"),
    Step(f"{ELECT} --election-type unclean --topic orders-{{who}} --partition 1"),
    Step(f"{ELECT} --election-type preferred --path-to-json-file {{folder}}/election.json"),
    Step(f"{ELECT} --election-type preferred --topic orders-{{who}} --partition 9", compares_brokers=False),
    Step(f"{ELECT} --election-type preferred", says="One and only one of the following options is required"),
    Step(f"{ELECT} --election-type preferred --topic t", says="Missing required option(s): partition"),
    Step(f"{MOVE} --list"),
    Step(f"{MOVE} --generate --topics-to-move-json-file {{folder}}/move.json --broker-list 1"),
    Step(f"{MOVE} --execute --reassignment-json-file {{folder}}/plan.json"),
    Step(f"{MOVE} --execute --reassignment-json-file {{folder}}/plan.json --disallow-replication-factor-change"),
    Step(f"{MOVE} --verify --reassignment-json-file {{folder}}/plan.json"),
    Step(f"{MOVE} --cancel --reassignment-json-file {{folder}}/plan.json"),
    Step(
        f"{MOVE} --execute --reassignment-json-file {{folder}}/far-plan.json",
        compares=False,
        says="Unknown broker id 7",
    ),
    Step(f"{MOVE} --execute --reassignment-json-file {{folder}}/no-offset.json", compares=False, says="replicas"),
    Step(f"{MOVE} --execute", says='Missing required argument "[reassignment-json-file]"'),
    Step(MOVE, says="Command must include exactly one action"),
]


def listed(line: str, **expected: object) -> Step:
    return Step(f"{TRANSACTIONS} {line}", needs=LIST_TRANSACTIONS, **expected)


TRANSACTION_STEPS = [
    listed("list", is_sorted=True, compares_brokers=False),
    listed("list --duration-filter 3600000"),
    listed(
        "describe --transactional-id nosuch", says="Failed to describe transaction state of transactional-id `nosuch`"
    ),
    listed("describe --transactional-id open-{who}", compares_brokers=False),
    listed("describe-producers --topic open-{who} --partition 0", compares_brokers=False),
    listed("find-hanging --topic open-{who}"),
    listed("find-hanging --broker-id 1"),
    listed("find-hanging", says="requires either --topic or --broker-id to limit the scope of the search"),
    listed("find-hanging --broker-id 1 --partition 0", says="The --partition argument requires --topic to be provided"),
    listed(
        "abort --topic orders-{who} --partition 0 --start-offset 1",
        says="Could not find any open transactions starting",
    ),
    listed("abort --topic orders-{who} --partition 0", says="must be identified either with --start-offset"),
    listed("abort --topic open-{who} --partition 0 --start-offset 0"),
    listed("forceTerminateTransaction --transactionalId open-{who}"),
    listed("list --duration-filter 0"),
]


CONSOLE_STEPS = [
    Step("kafka-console-producer --topic said-{who}", stdin="a\nb\nc\n"),
    Step("kafka-console-producer --topic keyed-{who} --property parse.key=true", stdin="k1\tv1\nk2\tv2\n"),
    Step(
        "kafka-console-producer --topic keyed-{who} --property parse.key=true", stdin="nokey\n", says="No key separator"
    ),
    Step("kafka-console-producer", says='Missing required argument "[topic]"'),
    Step("kafka-console-consumer --topic said-{who} --from-beginning --max-messages 3", says="Processed a total of 3"),
    Step(
        "kafka-console-consumer --topic keyed-{who} --from-beginning --max-messages 2 --property print.key=true"
        " --property print.partition=true --property print.offset=true --property key.separator=|"
    ),
    Step("kafka-console-consumer --topic said-{who} --partition 0 --offset 1 --max-messages 2"),
    Step("kafka-console-consumer --include said-{who}.* --from-beginning --max-messages 3", is_sorted=True),
    Step(
        "kafka-console-consumer --topic orders-{who} --group c-{who} --from-beginning --timeout-ms 3000", is_sorted=True
    ),
    Step(
        "kafka-console-consumer --topic __consumer_offsets --from-beginning --timeout-ms 6000"
        " --formatter org.apache.kafka.tools.consumer.OffsetsMessageFormatter",
        compares=False,
        says='{"key":{"type":1,"data":{"group":"billing-qms","topic":"orders-qms","partition":0}},"value":{"version":',
    ),
    Step(
        "kafka-console-consumer --topic said-{who} --from-beginning --max-messages 3"
        " --formatter org.apache.kafka.tools.consumer.LoggingMessageFormatter"
    ),
    Step("kafka-console-consumer", says="Exactly one of --include/--topic is required."),
    Step("kafka-console-consumer --topic t --offset 3", says="The partition is required when offset is specified."),
    Step(
        "kafka-console-consumer --topic t --partition 0 --offset -2",
        says="The provided offset value '-2' is incorrect.",
    ),
    Step(
        "kafka-producer-perf-test --topic perf-{who} --num-records 100 --record-size 10 --throughput -1"
        " --producer-props bootstrap.servers={bootstrap}",
        is_measured=True,
        says="100 records sent, ",
    ),
    Step(
        "kafka-producer-perf-test --topic perf-{who} --num-records 10 --payload-file {folder}/lines.txt --throughput 1000"
        " --producer-props bootstrap.servers={bootstrap} acks=1",
        is_measured=True,
        says="10 records sent, ",
    ),
    Step(
        "kafka-producer-perf-test --topic perf-{who} --num-records 10 --throughput -1"
        " --producer-props bootstrap.servers={bootstrap}",
        says="--payload-monotonic",
        compares=False,
    ),
    Step(
        "kafka-consumer-perf-test --topic perf-{who} --messages 100",
        is_measured=True,
        says="data.consumed.in.MB, MB.sec",
    ),
    Step("kafka-consumer-perf-test --topic t", says='Missing required argument "[messages]"', compares=False),
    Step("kafka-verifiable-producer --topic ver-{who} --max-messages 3"),
    Step("kafka-verifiable-producer --topic ver-{who} --max-messages 3 --value-prefix 7 --repeating-keys 2 --acks 1"),
    Step("kafka-verifiable-consumer --topic ver-{who} --group-id v-{who} --max-messages 6 --verbose"),
    Step("kafka-verifiable-consumer --topic ver-{who} --group-id w-{who} --max-messages 6 --enable-autocommit"),
]
