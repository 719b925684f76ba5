// The Java client in the chaos test: an idempotent producer and two members of a group, which tell a line for whatever they are told.
//
//     sent P COUNT              acked P NUMBER OFFSET     failed P NUMBER WHY
//     assigned MEMBER P,P..     lost MEMBER P,P..         read MEMBER P FROM-TO
//     committed MEMBER P OFFSET uncommitted MEMBER WHY    waits MEMBER WHY       fault WHY
//
// Every value names its partition and its number there, which is its offset too. A line `again` on the standard input
// makes one member leave between a poll and its commit, and a new one join. When the input ends, all ends in order.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.*;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

final class Chaos {
    // Records of one partition that may wait for their acknowledgements, and that are sent at once.
    static final int BACKLOG = 300, BURST = 5;
    static final Duration LAST = Duration.ofSeconds(150);
    static final String FILLING = "x".repeat(100);

    final String bootstrap, topic, group;
    final int partitions;
    final int[] sent, answered;
    // By partition, the offset after the last that was acknowledged, and after the last that was read.
    final AtomicLongArray written, seen;
    final AtomicInteger members = new AtomicInteger();
    final AtomicBoolean ending = new AtomicBoolean();

    Chaos(String[] args) {
        bootstrap = args[1];
        topic = args[2];
        group = args[3];
        partitions = Integer.parseInt(args[4]);
        sent = new int[partitions];
        answered = new int[partitions];
        written = new AtomicLongArray(partitions);
        seen = new AtomicLongArray(partitions);
    }

    // chaos BOOTSTRAP TOPIC GROUP PARTITIONS PAUSE_MS
    static boolean run(String[] args) throws Exception {
        return new Chaos(args).run(Integer.parseInt(args[5]));
    }

    static synchronized void tell(String line) {
        System.out.println(line.replaceAll("\\s*\\n\\s*", " "));
    }

    boolean run(int pauseMs) throws Exception {
        Deque<Member> readers = new ArrayDeque<>(List.of(new Member(), new Member()));
        Thread input = new Thread(() -> listen(readers));
        input.setDaemon(true);
        input.start();
        try (var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", bootstrap, "acks", "all",
            "enable.idempotence", "true", "delivery.timeout.ms", "300000"), new StringSerializer(), new StringSerializer())) {
            while (!ending.get()) {
                for (int partition = 0; partition < partitions; partition++) burst(producer, partition);
                Thread.sleep(pauseMs);
            }
            long end = System.nanoTime() + LAST.toNanos();
            while (outstanding() > 0 && System.nanoTime() < end) Thread.sleep(20);
            while (!allRead() && System.nanoTime() < end) Thread.sleep(20);
            for (int partition = 0; partition < partitions; partition++) tell("sent " + partition + " " + sent[partition]);
            if (outstanding() > 0) tell("fault " + outstanding() + " records are not answered " + LAST + " after the last was sent");
            if (!allRead()) tell("fault the group has read up to " + seen + ", acknowledged is up to " + written);
            synchronized (readers) {
                readers.forEach(member -> member.stop = true);
                for (Member member : readers) member.join(60_000);
            }
            // With records outstanding the ordinary close would wait as long again.
            if (outstanding() > 0) producer.close(Duration.ZERO);
            return outstanding() == 0 && allRead();
        }
    }

    // One member takes the place of the older one at each line; the end of the input ends everything.
    void listen(Deque<Member> readers) {
        try (var lines = new BufferedReader(new InputStreamReader(System.in))) {
            while (lines.readLine() != null) {
                synchronized (readers) {
                    readers.removeFirst().stop = true;
                    readers.addLast(new Member());
                }
            }
        } catch (Exception broken) {
            tell("fault the standard input: " + broken);
        }
        ending.set(true);
    }

    void burst(KafkaProducer<String, String> producer, int partition) {
        for (int turn = 0; turn < BURST && waiting(partition) < BACKLOG; turn++) {
            int number = sent[partition]++;
            String value = partition + ":" + number + ":" + FILLING;
            producer.send(new ProducerRecord<>(topic, partition, null, value), (where, error) -> answer(partition, number, where, error));
        }
    }

    void answer(int partition, int number, RecordMetadata where, Exception error) {
        if (error == null) {
            tell("acked " + partition + " " + number + " " + (where.hasOffset() ? where.offset() : -1));
            written.accumulateAndGet(partition, number + 1, Math::max);
        } else {
            tell("failed " + partition + " " + number + " " + error);
        }
        synchronized (answered) {
            answered[partition]++;
        }
    }

    int waiting(int partition) {
        synchronized (answered) {
            return sent[partition] - answered[partition];
        }
    }

    int outstanding() {
        int all = 0;
        for (int partition = 0; partition < partitions; partition++) all += waiting(partition);
        return all;
    }

    boolean allRead() {
        for (int partition = 0; partition < partitions; partition++) {
            if (seen.get(partition) < written.get(partition)) return false;
        }
        return true;
    }

    // One member of the group; it commits after each poll. A session is as short as that of librdkafka's readers: a member
    // that left while the group rebalanced comes back as a ghost when the coordinator dies before the group is stored again.
    final class Member extends Thread implements ConsumerRebalanceListener {
        final int id = members.incrementAndGet();
        volatile boolean stop = false;

        Member() {
            setDaemon(true);
            start();
        }

        @Override public void run() {
            try (var consumer = new KafkaConsumer<>(Map.<String, Object>of("bootstrap.servers", bootstrap, "group.id", group,
                "session.timeout.ms", "6000", "heartbeat.interval.ms", "300", "enable.auto.commit", "false",
                "auto.offset.reset", "none"), new StringDeserializer(), new StringDeserializer())) {
                consumer.subscribe(List.of(topic), this);
                while (!stop) {
                    ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
                    for (TopicPartition part : records.partitions()) show(part.partition(), records.records(part));
                    if (!stop && !records.isEmpty()) commit(consumer, records.nextOffsets());
                }
            } catch (Throwable error) {
                tell("fault member " + id + " ends: " + error + " " + Arrays.toString(error.getStackTrace()));
            }
        }

        // In ranges: a new one where an offset does not follow the one before.
        void show(int partition, List<ConsumerRecord<String, String>> records) {
            long from = records.get(0).offset(), next = from;
            for (var record : records) {
                if (!record.value().startsWith(partition + ":" + record.offset() + ":")) {
                    tell("fault member " + id + ": partition " + partition + ", offset " + record.offset() + " holds " + record.value().replace(FILLING, ".."));
                }
                if (record.offset() != next) {
                    tell("read " + id + " " + partition + " " + from + "-" + (next - 1));
                    from = record.offset();
                }
                next = record.offset() + 1;
            }
            tell("read " + id + " " + partition + " " + from + "-" + (next - 1));
            seen.accumulateAndGet(partition, next, Math::max);
        }

        void commit(KafkaConsumer<String, String> consumer, Map<TopicPartition, OffsetAndMetadata> offsets) {
            try {
                consumer.commitSync(offsets);
                offsets.forEach((part, place) -> tell("committed " + id + " " + part.partition() + " " + place.offset()));
            } catch (CommitFailedException | RebalanceInProgressException | RetriableException error) {
                // The group moves, or its coordinator is away for longer than the client waits: not acknowledged, nothing to hold.
                tell("uncommitted " + id + " " + error);
            }
        }

        @Override public void onPartitionsAssigned(Collection<TopicPartition> parts) {
            tell("assigned " + id + " " + numbers(parts));
        }

        @Override public void onPartitionsRevoked(Collection<TopicPartition> parts) {
            tell("lost " + id + " " + numbers(parts));
        }

        static String numbers(Collection<TopicPartition> parts) {
            return parts.stream().map(part -> String.valueOf(part.partition())).collect(Collectors.joining(","));
        }
    }
}
