// Moves numbers from one topic to another, doubled, in transactions that carry the group's offsets (KIP-447).
//
// Every third transaction is aborted and done again. With a crash asked for, the process halts in the middle of
// that transaction, its records sent and not committed. Ends when the group has read the input to its end.
//
// Usage: java ConsumeTransformProduce <bootstrap> <input> <output> <group> <transactional id> <classic | consumer>
//     <halt in transaction n, 0 for none>

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class ConsumeTransformProduce {
    private static final int RECORDS_A_TRANSACTION = 7;
    private static final int CRASHED = 42;

    private final KafkaConsumer<String, String> consumer;
    private final KafkaProducer<String, String> producer;
    private final String output;
    private final int haltIn;
    private int transactions;

    private ConsumeTransformProduce(String[] arguments) {
        var settings = new HashMap<String, Object>(Map.of(
            "bootstrap.servers", arguments[0], "group.id", arguments[3], "group.protocol", arguments[5],
            "auto.offset.reset", "earliest", "enable.auto.commit", "false", "isolation.level", "read_committed",
            "max.poll.records", RECORDS_A_TRANSACTION));
        if (arguments[5].equals("classic")) {
            // After a crash the group gives up the dead member soon.
            settings.put("session.timeout.ms", "6000");
        }
        consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
        producer = new KafkaProducer<>(
            Map.of("bootstrap.servers", arguments[0], "transactional.id", arguments[4]),
            new StringSerializer(), new StringSerializer());
        output = arguments[2];
        haltIn = Integer.parseInt(arguments[6]);
        consumer.subscribe(List.of(arguments[1]));
    }

    private void run() throws Exception {
        producer.initTransactions();
        while (true) {
            ConsumerRecords<String, String> polled = consumer.poll(Duration.ofMillis(200));
            if (polled.isEmpty()) {
                if (isAtTheEnd()) {
                    return;
                }
                continue;
            }
            transactions++;
            if (transactions % 3 == 0) {
                send(polled);
                producer.abortTransaction();
                rewind(polled.partitions());
            } else {
                send(polled);
                if (transactions == haltIn) {
                    Runtime.getRuntime().halt(CRASHED);
                }
                producer.commitTransaction();
            }
        }
    }

    private void send(ConsumerRecords<String, String> polled) throws Exception {
        producer.beginTransaction();
        var positions = new HashMap<TopicPartition, OffsetAndMetadata>();
        for (ConsumerRecord<String, String> record : polled) {
            String doubled = Long.toString(2 * Long.parseLong(record.value()));
            producer.send(new ProducerRecord<>(output, record.key(), doubled));
            positions.put(
                new TopicPartition(record.topic(), record.partition()),
                new OffsetAndMetadata(record.offset() + 1, record.leaderEpoch(), ""));
        }
        producer.flush();
        producer.sendOffsetsToTransaction(positions, consumer.groupMetadata());
    }

    private void rewind(Set<TopicPartition> partitions) {
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(partitions);
        for (TopicPartition partition : partitions) {
            OffsetAndMetadata position = committed.get(partition);
            if (position == null) {
                consumer.seekToBeginning(List.of(partition));
            } else {
                consumer.seek(partition, position.offset());
            }
        }
    }

    private boolean isAtTheEnd() {
        Set<TopicPartition> assigned = consumer.assignment();
        if (assigned.isEmpty()) {
            return false;
        }
        Map<TopicPartition, Long> ends = consumer.endOffsets(assigned);
        return assigned.stream().allMatch(partition -> consumer.position(partition) >= ends.get(partition));
    }

    public static void main(String[] arguments) throws Exception {
        var work = new ConsumeTransformProduce(arguments);
        work.run();
        work.producer.close();
        work.consumer.close();
        System.out.println(work.transactions);
    }
}
