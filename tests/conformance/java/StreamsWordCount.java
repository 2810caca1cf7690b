// A Kafka Streams application with exactly-once: counts words, with a repartition topic and a changelog in between.
//
// Ends when the counts of the output topic add up to what is expected; halts without any goodbye after some
// records if told to. Prints nothing: what it wrote is in the output topic.
//
// Usage: java StreamsWordCount <bootstrap> <application id> <input> <output> <state folder> <words in all>
//     <halt after so many words, 0 for never>

import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.StoreQueryParameters;

public final class StreamsWordCount {
    private static final int CRASHED = 42;
    private static final int SECONDS = 100;

    public static void main(String[] arguments) throws Exception {
        long expected = Long.parseLong(arguments[5]);
        long haltAfter = Long.parseLong(arguments[6]);
        var settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("application.id", arguments[1]);
        settings.put("state.dir", arguments[4]);
        settings.put("processing.guarantee", "exactly_once_v2");
        settings.put("num.stream.threads", "2");
        settings.put("commit.interval.ms", "100");
        settings.put("default.key.serde", Serdes.StringSerde.class);
        settings.put("default.value.serde", Serdes.StringSerde.class);
        settings.put("main.consumer.auto.offset.reset", "earliest");
        // After a crash the group gives up the dead members soon.
        settings.put("main.consumer.session.timeout.ms", "6000");
        settings.put("replication.factor", "1");

        var seen = new AtomicLong();
        var builder = new StreamsBuilder();
        builder.<String, String>stream(arguments[2])
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .peek((key, word) -> {
                if (seen.incrementAndGet() == haltAfter) {
                    Runtime.getRuntime().halt(CRASHED);
                }
            })
            .groupBy((key, word) -> word)
            .count(Materialized.as("counts"))
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to(arguments[3], Produced.with(Serdes.String(), Serdes.String()));

        var failed = new CountDownLatch(1);
        try (var streams = new KafkaStreams(builder.build(), settings)) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                failed.countDown();
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            for (int n = 0; n < SECONDS * 10; n++) {
                if (failed.await(100, TimeUnit.MILLISECONDS)) {
                    System.exit(1);
                }
                if (streams.state() == KafkaStreams.State.RUNNING && counted(streams) == expected) {
                    return;
                }
            }
        }
        System.err.println("not all words were counted in time");
        System.exit(1);
    }

    private static long counted(KafkaStreams streams) {
        try {
            ReadOnlyKeyValueStore<String, Long> counts = streams.store(
                StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.keyValueStore()));
            long sum = 0;
            try (KeyValueIterator<String, Long> all = counts.all()) {
                while (all.hasNext()) {
                    sum += all.next().value;
                }
            }
            return sum;
        } catch (org.apache.kafka.streams.errors.InvalidStateStoreException moving) {
            return -1;
        }
    }
}
