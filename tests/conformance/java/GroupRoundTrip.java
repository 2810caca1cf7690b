// Round trip with Kafka's own clients: once two members of a group share the topic, produce and print what came.
//
// Usage: java GroupRoundTrip <bootstrap> <topic> <partitions> <group> <codec> <records> <classic | consumer>

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class GroupRoundTrip {
    private static final int MEMBERS = 2;
    private static final long FIRST_TIMESTAMP = 1_700_000_000_000L;

    private static String bootstrap;
    private static String topic;
    private static String group;
    private static String codec;
    private static String protocol;
    private static int partitions;
    private static int records;

    private static final int[] owned = new int[MEMBERS];
    private static final List<String> received = new ArrayList<>();
    private static final CountDownLatch shared = new CountDownLatch(1);
    private static final CountDownLatch complete = new CountDownLatch(1);

    private static synchronized void owns(int member, int count) {
        owned[member] = count;
        if (owned[0] > 0 && owned[1] > 0 && owned[0] + owned[1] == partitions) {
            shared.countDown();
        }
    }

    private static synchronized void receive(int member, ConsumerRecord<String, String> record) {
        String header = new String(record.headers().lastHeader("codec").value());
        received.add(String.format(
            "{\"member\": %d, \"partition\": %d, \"offset\": %d, \"key\": \"%s\", \"value\": \"%s\", \"header\": \"%s\", \"timestamp_ms\": %d}",
            member, record.partition(), record.offset(), record.key(), record.value(), header, record.timestamp()));
        if (received.size() >= records) {
            complete.countDown();
        }
    }

    private static void consume(int member) {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", bootstrap, "group.id", group, "group.protocol", protocol,
            "auto.offset.reset", "earliest", "enable.auto.commit", "false");
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> gone) {
                    owns(member, consumer.assignment().size() - gone.size());
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> added) {
                    owns(member, consumer.assignment().size());
                }
            });
            while (complete.getCount() > 0) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> receive(member, record));
            }
            consumer.commitSync();
        }
    }

    private static void produce() {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", bootstrap, "compression.type", codec, "linger.ms", "20");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int n = 0; n < records; n++) {
                var record = new ProducerRecord<>(topic, null, FIRST_TIMESTAMP + n, "key " + n, "value " + n);
                record.headers().add("codec", codec.getBytes());
                producer.send(record);
            }
        }
    }

    private static void await(CountDownLatch latch, String what) throws InterruptedException {
        if (!latch.await(60, TimeUnit.SECONDS)) {
            System.err.println("not within a minute: " + what);
            Runtime.getRuntime().halt(1);
        }
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        topic = arguments[1];
        partitions = Integer.parseInt(arguments[2]);
        group = arguments[3];
        codec = arguments[4];
        records = Integer.parseInt(arguments[5]);
        protocol = arguments[6];
        var members = new ArrayList<Thread>();
        for (int member = 0; member < MEMBERS; member++) {
            int number = member;
            members.add(new Thread(() -> consume(number)));
        }
        members.forEach(Thread::start);
        await(shared, "both members own partitions");
        produce();
        await(complete, "every record arrived");
        for (Thread member : members) {
            member.join();
        }
        System.out.println("[" + String.join(",\n", received) + "]");
    }
}
