// The Java client against the server: topics, every codec, a group of three, offsets, configs.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

final class Client {
    static final int PARTITIONS = 6;
    static final String RUN = "java-" + UUID.randomUUID().toString().substring(0, 8);
    static final Admin ADMIN = Admin.create(Map.of("bootstrap.servers", Check.BROKER));

    static void run() {
        Check.check("creates, lists, describes, grows and deletes a topic", Client::describes);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Check.check("produces with " + codec + " and reads back every byte of key, value and headers",
                () -> codecRound(codec));
        }
        Check.check("reads from the middle of a partition, and finds offsets by time", Client::middle);
        Check.check("alters a topic's config and deletes its first records", Client::alters);
        Check.check("three members share a group while one joins and one leaves: nothing lost, all partitions covered, "
            + "and a later member resumes at the committed offsets", Client::groupStory);
        Check.check("describes the cluster, its log directories and a partition's producers", Client::cluster);
        ADMIN.close();
    }

    static void create(String topic, int partitions, Map<String, String> configs) throws Exception {
        ADMIN.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all().get();
    }

    static void describes() throws Exception {
        String topic = RUN + "-plain";
        create(topic, 3, Map.of("retention.ms", "3600000"));
        if (!ADMIN.listTopics().names().get().contains(topic)) throw new AssertionError("the topic is not listed");
        Check.same(describe(topic).partitions().size(), 3, "partitions");
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config found = ADMIN.describeConfigs(List.of(resource)).all().get().get(resource);
        Check.same(found.get("retention.ms").value(), "3600000", "retention.ms");
        Check.same(found.get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "its source");
        Check.same(found.get("cleanup.policy").value(), "delete", "cleanup.policy");
        ADMIN.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
        Check.until("five partitions", 10, () -> describe(topic).partitions().size() == 5);
        ADMIN.deleteTopics(List.of(topic)).all().get();
        Check.until("the topic is gone", 10, () -> names().stream().noneMatch(topic::equals));
    }

    static TopicDescription describe(String topic) {
        try {
            return ADMIN.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    static Set<String> names() {
        try {
            return ADMIN.listTopics().names().get();
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    static KafkaProducer<byte[], byte[]> producer(String codec) {
        return new KafkaProducer<>(Map.of("bootstrap.servers", Check.BROKER, "compression.type", codec, "linger.ms", "5",
            "enable.idempotence", "true"), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static List<ProducerRecord<byte[], byte[]>> records(String topic, int count) {
        byte[] all = new byte[768];
        for (int i = 0; i < all.length; i++) all[i] = (byte) i;
        List<ProducerRecord<byte[], byte[]>> out = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            byte[] key = new byte[][] {null, {}, ("key-" + i).getBytes()}[i % 3];
            byte[] euro = "größe €".getBytes(StandardCharsets.UTF_8);
            byte[] value = new byte[][] {all, ("value-" + i).getBytes(), {}, euro, null}[i % 5];
            List<Header> headers = List.of(List.<Header>of(),
                List.<Header>of(new RecordHeader("h", new byte[] {0, -1}), new RecordHeader("h", "again".getBytes())),
                List.<Header>of(new RecordHeader("empty", new byte[0]), new RecordHeader("null", (byte[]) null))).get(i % 3);
            out.add(new ProducerRecord<>(topic, 0, 1_700_000_000_000L + i * 1000L, key, value, headers));
        }
        return out;
    }

    static void codecRound(String codec) throws Exception {
        String topic = RUN + "-" + codec;
        // The timestamps are old on purpose: retention must not take them away.
        create(topic, 1, Map.of("retention.ms", "-1"));
        var sent = records(topic, 200);
        try (var producer = producer(codec)) {
            List<Future<RecordMetadata>> acks = sent.stream().map(producer::send).toList();
            for (int i = 0; i < acks.size(); i++) Check.same(acks.get(i).get().offset(), (long) i, "acknowledged offset");
        }
        var found = read(topic, 0, sent.size());
        for (int i = 0; i < sent.size(); i++) {
            Check.same(found.get(i).offset(), (long) i, "offset");
            Check.same(show(found.get(i).key(), found.get(i).value(), found.get(i).headers(), found.get(i).timestamp()),
                show(sent.get(i).key(), sent.get(i).value(), sent.get(i).headers(), sent.get(i).timestamp()), "record " + i);
        }
    }

    static String show(byte[] key, byte[] value, Iterable<Header> headers, long timestamp) {
        StringBuilder out = new StringBuilder(timestamp + " " + Arrays.toString(key) + " " + Arrays.toString(value));
        for (Header header : headers) out.append(' ').append(header.key()).append('=').append(Arrays.toString(header.value()));
        return out.toString();
    }

    static List<ConsumerRecord<byte[], byte[]>> read(String topic, long first, int count) {
        try (var consumer = consumer(null)) {
            var part = new TopicPartition(topic, 0);
            consumer.assign(List.of(part));
            consumer.seek(part, first);
            List<ConsumerRecord<byte[], byte[]>> out = new ArrayList<>();
            long end = System.nanoTime() + 20_000_000_000L;
            while (out.size() < count && System.nanoTime() < end) consumer.poll(Duration.ofMillis(200)).forEach(out::add);
            if (out.size() < count) throw new AssertionError(out.size() + " of " + count + " records within 20 s");
            return out;
        }
    }

    static KafkaConsumer<byte[], byte[]> consumer(String group) {
        Map<String, Object> configs = new HashMap<>(Map.of("bootstrap.servers", Check.BROKER, "enable.auto.commit", "false",
            "auto.offset.reset", "earliest", "session.timeout.ms", "6000", "heartbeat.interval.ms", "300",
            "fetch.max.wait.ms", "100", "metadata.max.age.ms", "1000"));
        if (group != null) configs.put("group.id", group);
        return new KafkaConsumer<>(configs, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static void middle() {
        String topic = RUN + "-none";
        Check.same(read(topic, 150, 50).get(0).offset(), 150L, "first offset");
        try (var consumer = consumer(null)) {
            var part = new TopicPartition(topic, 0);
            var found = consumer.offsetsForTimes(Map.of(part, 1_700_000_000_000L + 99_500L)).get(part);
            Check.same(found.offset(), 100L, "offset at a time");
            Check.same(consumer.beginningOffsets(List.of(part)).get(part), 0L, "beginning");
            Check.same(consumer.endOffsets(List.of(part)).get(part), 200L, "end");
        }
    }

    static void alters() throws Exception {
        String topic = RUN + "-gzip";
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        var set = new AlterConfigOp(new ConfigEntry("max.message.bytes", "1234567"), AlterConfigOp.OpType.SET);
        ADMIN.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
        Check.until("the config is changed", 10, () -> maxBytes(resource).equals("1234567"));
        var bad = new AlterConfigOp(new ConfigEntry("max.message.bytes", "many"), AlterConfigOp.OpType.SET);
        try {
            ADMIN.incrementalAlterConfigs(Map.of(resource, List.of(bad))).all().get();
            throw new AssertionError("a value that is no number was accepted");
        } catch (ExecutionException refused) {
            Check.same(refused.getCause().getClass().getSimpleName(), "InvalidConfigurationException", "refusal");
        }
        var part = new TopicPartition(topic, 0);
        var deleted = ADMIN.deleteRecords(Map.of(part, RecordsToDelete.beforeOffset(40))).lowWatermarks();
        Check.same(deleted.get(part).get().lowWatermark(), 40L, "low watermark");
        try (var consumer = consumer(null)) {
            Check.same(consumer.beginningOffsets(List.of(part)).get(part), 40L, "beginning");
        }
    }

    static String maxBytes(ConfigResource resource) {
        try {
            return ADMIN.describeConfigs(List.of(resource)).all().get().get(resource).get("max.message.bytes").value();
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    // One member of a group, polling and committing as an application would.
    static final class Member extends Thread {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Set<String> seen = ConcurrentHashMap.newKeySet();
        volatile Set<Integer> owned = Set.of();
        volatile boolean stop = false;
        volatile Exception error = null;

        Member(String group, String topic) {
            consumer = consumer(group);
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override public void onPartitionsAssigned(Collection<TopicPartition> parts) { }

                @Override public void onPartitionsRevoked(Collection<TopicPartition> parts) {
                    if (!parts.isEmpty()) consumer.commitSync();
                }
            });
            setDaemon(true);
            start();
        }

        @Override public void run() {
            try (consumer) {
                while (!stop) {
                    consumer.poll(Duration.ofMillis(100)).forEach(record -> seen.add(new String(record.value())));
                    owned = consumer.assignment().stream().map(TopicPartition::partition).collect(Collectors.toSet());
                }
                consumer.commitSync();
            } catch (Exception failure) {
                error = failure;
            }
            owned = Set.of();
        }

        void leave() throws Exception {
            stop = true;
            join(30_000);
            if (error != null) throw error;
            if (isAlive()) throw new AssertionError("a member did not leave within 30 s");
        }
    }

    static boolean covered(Member... members) {
        for (Member member : members) if (member.error != null) throw new RuntimeException(member.error);
        List<Integer> owned = Stream.of(members).flatMap(member -> member.owned.stream()).sorted().toList();
        return owned.equals(IntStream.range(0, PARTITIONS).boxed().toList())
            && Stream.of(members).noneMatch(member -> member.owned.isEmpty());
    }

    static boolean seenAll(Set<String> sent, Member... members) {
        Set<String> seen = Stream.of(members).flatMap(member -> member.seen.stream()).collect(Collectors.toSet());
        return seen.containsAll(sent);
    }

    static void produce(String topic, Set<String> sent, int count) throws Exception {
        try (var producer = producer("none")) {
            List<Future<RecordMetadata>> acks = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                String value = String.valueOf(sent.size());
                sent.add(value);
                acks.add(producer.send(new ProducerRecord<>(topic, i % PARTITIONS, null, value.getBytes())));
            }
            for (var ack : acks) ack.get();
        }
    }

    static void groupStory() throws Exception {
        String topic = RUN + "-shared", group = RUN + "-group";
        create(topic, PARTITIONS, Map.of());
        Set<String> sent = new HashSet<>();
        Member first = new Member(group, topic), second = new Member(group, topic);
        Check.until("two members own all partitions", 40, () -> covered(first, second));
        produce(topic, sent, 300);
        Member third = new Member(group, topic);
        Check.until("three members own all partitions", 40, () -> covered(first, second, third));
        produce(topic, sent, 300);
        Check.until("the group is stable", 20, () -> state(group).equals("Stable 3"));
        if (ADMIN.listGroups().all().get().stream().noneMatch(listed -> listed.groupId().equals(group))) {
            throw new AssertionError("the group is not listed");
        }
        Check.until("everything is read", 30, () -> seenAll(sent, first, second, third));
        second.leave();
        Check.until("the other two own all partitions", 40, () -> covered(first, third));
        produce(topic, sent, 300);
        Check.until("nothing is lost", 30, () -> seenAll(sent, first, second, third));
        first.leave();
        third.leave();
        resumes(topic, group, sent);
    }

    static String state(String group) {
        try {
            var found = ADMIN.describeConsumerGroups(List.of(group)).all().get().get(group);
            return found.groupState() + " " + found.members().size();
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    static void resumes(String topic, String group, Set<String> sent) throws Exception {
        var offsets = ADMIN.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        Check.same(offsets.values().stream().mapToLong(OffsetAndMetadata::offset).sum(), (long) sent.size(), "committed");
        Set<String> before = Set.copyOf(sent);
        produce(topic, sent, 60);
        Member late = new Member(group, topic);
        Check.until("the late member reads what came since", 40, () -> late.seen.size() >= 60);
        late.leave();
        if (late.seen.stream().anyMatch(before::contains)) throw new AssertionError("the late member read records again");
        ADMIN.deleteConsumerGroups(List.of(group)).all().get();
    }

    static void cluster() throws Exception {
        var cluster = ADMIN.describeCluster();
        if (cluster.clusterId().get().isEmpty()) throw new AssertionError("no cluster id");
        int broker = cluster.nodes().get().iterator().next().id();
        var dirs = ADMIN.describeLogDirs(List.of(broker)).allDescriptions().get().get(broker);
        boolean held = dirs.values().stream().anyMatch(dir -> dir.replicaInfos().keySet().stream()
            .anyMatch(part -> part.topic().equals(RUN + "-zstd")));
        if (!held) throw new AssertionError("no log directory holds the topic: " + dirs.keySet());
        var part = new TopicPartition(RUN + "-zstd", 0);
        var producers = ADMIN.describeProducers(List.of(part)).partitionResult(part).get().activeProducers();
        Check.same(producers.size(), 1, "producers");
        Check.same(producers.get(0).lastSequence(), 199, "last sequence");
    }
}
