// Kafka's tools for clusters, kafka-reassign-partitions and kafka-leader-election, against three brokers with the ids 1 to 3.

import java.nio.file.*;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

final class Moves {
    static final String TOPIC = "moves-" + UUID.randomUUID().toString().substring(0, 8);
    static final int RECORDS = 200;
    static final int VALUE_BYTES = 10_000;
    // Two partitions of which a new replica takes 1 MB each: at this rate a minute.
    static final String SLOW = "30000";
    static final String FAST = "50000000";
    static final String UNDER_WAY = "Cannot execute because there is an existing partition assignment.";

    static void run() {
        Tools.catchExits();
        Check.check("kafka-topics makes a topic on the brokers that are named, and records fill it", Moves::fill);
        Check.check("kafka-reassign-partitions --generate proposes other replicas, and --verify finds that they are not there",
            Moves::generates);
        Check.check("--execute with --throttle begins a move, --list shows it, a second one is refused, --cancel calls it off "
            + "and takes the throttles away", Moves::cancels);
        Check.check("--execute with a wider throttle moves all records, and --verify says so and takes the throttles away",
            Moves::completes);
        Check.check("--execute --additional widens the throttle of a move that is under way", Moves::widens);
        Check.check("kafka-leader-election puts the preferred leader of one partition back, and not twice", Moves::electsOne);
        Check.check("kafka-leader-election puts all preferred leaders back", Moves::electsAll);
        Check.check("kafka-cluster unregister takes out a running broker, but not one that alone has a partition", Moves::unregisters);
    }

    static String reassign(String... args) throws Exception {
        return Tools.tool(org.apache.kafka.tools.reassign.ReassignPartitionsCommand::main, "", Tools.with(args));
    }

    static String elect(String... args) throws Exception {
        return Tools.tool(org.apache.kafka.tools.LeaderElectionCommand::main, "", Tools.with(args));
    }

    // A file that says which replicas each partition is to have, the first of them the preferred leader.
    static String plan(int[]... replicas) throws Exception {
        String each = IntStream.range(0, replicas.length).mapToObj(at -> "{\"topic\":\"" + TOPIC + "\",\"partition\":" + at
            + ",\"replicas\":" + Arrays.toString(replicas[at]) + "}").collect(Collectors.joining(","));
        Path file = Files.createTempFile("moves", ".json");
        file.toFile().deleteOnExit();
        Files.writeString(file, "{\"version\":1,\"partitions\":[" + each + "]}");
        return file.toString();
    }

    static void fill() throws Exception {
        Tools.topic("--create", "--topic", TOPIC, "--replica-assignment", "1:2,2:1");
        Properties set = new Properties();
        set.put("bootstrap.servers", Check.BROKER);
        try (var producer = new KafkaProducer<>(set, new StringSerializer(), new ByteArraySerializer())) {
            for (int i = 0; i < RECORDS; i++) producer.send(new ProducerRecord<>(TOPIC, i % 2, "k", new byte[VALUE_BYTES]));
            producer.flush();
        }
        Check.same(records(), (long) RECORDS, "records");
    }

    static long records() throws Exception {
        String offsets = Tools.tool(org.apache.kafka.tools.GetOffsetShell::main, "", Tools.with("--topic", TOPIC));
        return offsets.lines().filter(line -> line.startsWith(TOPIC)).mapToLong(line -> Long.parseLong(line.split(":")[2])).sum();
    }

    static void generates() throws Exception {
        Path topics = Files.createTempFile("moves", ".json");
        topics.toFile().deleteOnExit();
        Files.writeString(topics, "{\"version\":1,\"topics\":[{\"topic\":\"" + TOPIC + "\"}]}");
        String found = reassign("--generate", "--topics-to-move-json-file", topics.toString(), "--broker-list", "2,3");
        Check.holds(found, "Current partition replica assignment");
        Check.holds(found, "\"replicas\":[1,2]");
        Check.holds(found, "Proposed partition reassignment configuration");
        String verified = reassign("--verify", "--reassignment-json-file", plan(new int[] {3, 1}, new int[] {3, 2}));
        Check.holds(verified, "There is no active reassignment of partition " + TOPIC + "-0, but replica set is 1,2 rather than 3,1.");
    }

    static String throttles() throws Exception {
        StringBuilder all = new StringBuilder(Tools.config("--entity-type", "topics", "--entity-name", TOPIC, "--describe"));
        for (String id : List.of("1", "2", "3")) {
            all.append(Tools.config("--entity-type", "brokers", "--entity-name", id, "--describe"));
        }
        return all.toString().lines().filter(line -> line.contains("throttled")).collect(Collectors.joining("\n"));
    }

    static void cancels() throws Exception {
        String to = plan(new int[] {1, 3}, new int[] {3, 2});
        String begun = reassign("--execute", "--throttle", SLOW, "--reassignment-json-file", to);
        Check.holds(begun, "The inter-broker throttle limit was set to " + SLOW + " B/s");
        Check.holds(begun, "Successfully started partition reassignments for " + TOPIC + "-0," + TOPIC + "-1");
        String set = throttles();
        Check.holds(set, "leader.replication.throttled.rate=" + SLOW);
        Check.holds(set, "follower.replication.throttled.rate=" + SLOW);
        Check.holds(set, "leader.replication.throttled.replicas=");
        Check.holds(set, "follower.replication.throttled.replicas=0:3,1:3");
        String listed = reassign("--list");
        Check.holds(listed, "Current partition reassignments:");
        Check.holds(listed, TOPIC + "-0: replicas: 1,3,2. adding: 3. removing: 2.");
        Check.holds(reassign("--verify", "--preserve-throttles", "--reassignment-json-file", to),
            "Reassignment of partition " + TOPIC + "-0 is still in progress.");
        String refused = Tools.attempt(org.apache.kafka.tools.reassign.ReassignPartitionsCommand::main, "",
            Tools.with("--execute", "--reassignment-json-file", to));
        Check.same(Tools.Ended.code, 1, "how a second one ended, which said " + refused);
        Check.holds(refused, UNDER_WAY);
        // A tail is replicated all the same.
        long start = System.nanoTime();
        Properties with = new Properties();
        with.putAll(Map.of("bootstrap.servers", Check.BROKER, "acks", "all"));
        try (var producer = new KafkaProducer<>(with, new StringSerializer(), new ByteArraySerializer())) {
            producer.send(new ProducerRecord<>(TOPIC, 0, "k", new byte[10])).get();
            producer.send(new ProducerRecord<>(TOPIC, 1, "k", new byte[10])).get();
        }
        if (System.nanoTime() - start > 20_000_000_000L) throw new AssertionError("producing waited for the throttle");
        String cancelled = reassign("--cancel", "--reassignment-json-file", to);
        Check.holds(cancelled, "Successfully cancelled partition reassignments for: " + TOPIC + "-0," + TOPIC + "-1");
        Check.holds(reassign("--list"), "No partition reassignments found.");
        Check.same(throttles(), "", "throttles after the cancellation");
        Check.holds(Tools.topic("--describe", "--topic", TOPIC), "Replicas: 1,2");
    }

    // Waits until --verify says that all is done; answers what it said then.
    static String verified(String file) throws Exception {
        long end = System.nanoTime() + 60_000_000_000L;
        while (true) {
            String found = reassign("--verify", "--reassignment-json-file", file);
            if (!found.contains("is still in progress")) return found;
            if (System.nanoTime() > end) throw new AssertionError("not within a minute: " + found);
            Thread.sleep(300);
        }
    }

    static void moved(String file) throws Exception {
        String done = verified(file);
        Check.holds(done, "Reassignment of partition " + TOPIC + "-0 is completed.");
        Check.holds(done, "Reassignment of partition " + TOPIC + "-1 is completed.");
        Check.holds(done, "Clearing broker-level throttles on brokers 1,2,3");
        Check.holds(done, "Clearing topic-level throttles on topic " + TOPIC);
        Check.same(throttles(), "", "throttles after the move");
        Check.same(records(), RECORDS + 2L, "records");
    }

    static void completes() throws Exception {
        String to = plan(new int[] {1, 3}, new int[] {3, 2});
        reassign("--execute", "--throttle", FAST, "--reassignment-json-file", to);
        moved(to);
        String found = Tools.topic("--describe", "--topic", TOPIC);
        Check.holds(found, "Replicas: 1,3");
        Check.holds(found, "Replicas: 3,2");
    }

    static void widens() throws Exception {
        String to = plan(new int[] {1, 2}, new int[] {1, 3});
        reassign("--execute", "--throttle", SLOW, "--reassignment-json-file", to);
        Check.holds(reassign("--list"), "adding: 2.");
        String wider = reassign("--execute", "--additional", "--throttle", FAST, "--reassignment-json-file", to);
        Check.holds(wider, "The inter-broker throttle limit was set to " + FAST + " B/s");
        moved(to);
    }

    static int leader(int partition) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", (Object) Check.BROKER))) {
            return admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC).partitions().get(partition).leader().id();
        }
    }

    // Replicas in another order: who leads stays, and is not the preferred leader any more.
    static void turnAround(int[]... replicas) throws Exception {
        String to = plan(replicas);
        reassign("--execute", "--reassignment-json-file", to);
        verified(to);
    }

    static void electsOne() throws Exception {
        turnAround(new int[] {2, 1}, new int[] {1, 3});
        int before = leader(0);
        String[] one = {"--election-type", "PREFERRED", "--topic", TOPIC, "--partition", "0"};
        Check.same(before, 1, "the leader after the order of replicas was changed");
        Check.holds(elect(one), "Successfully completed leader election (PREFERRED) for partitions " + TOPIC + "-0");
        Check.same(leader(0), 2, "the leader");
        Check.holds(elect(one), "Valid replica already elected for partitions " + TOPIC + "-0");
    }

    static void electsAll() throws Exception {
        int first = leader(0), second = leader(1);
        turnAround(new int[] {first == 1 ? 2 : 1, first}, new int[] {second == 1 ? 3 : 1, second});
        String found = elect("--election-type", "PREFERRED", "--all-topic-partitions");
        Check.holds(found, "Successfully completed leader election (PREFERRED) for partitions ");
        Check.holds(found, TOPIC + "-0");
        Check.holds(found, TOPIC + "-1");
        Check.same(leader(0), first == 1 ? 2 : 1, "the leader of the first");
        Check.same(leader(1), second == 1 ? 3 : 1, "the leader of the second");
    }

    static void unregisters() throws Exception {
        String[] third = {"unregister", "--bootstrap-server", Check.BROKER, "--id", "3"};
        Tools.topic("--create", "--topic", TOPIC + "-alone", "--replica-assignment", "3");
        String refused = Tools.attempt(org.apache.kafka.tools.ClusterTool::main, "", third);
        Check.same(Tools.Ended.code, 1, "how it ended while broker 3 alone had a topic, which said " + refused);
        Check.holds(refused, TOPIC + "-alone-0: move that first");
        Tools.topic("--delete", "--topic", TOPIC + "-alone");
        Check.holds(Tools.tool(org.apache.kafka.tools.ClusterTool::main, "", third), "Broker 3 is no longer registered.");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", (Object) Check.BROKER))) {
            Check.until("two brokers are left", 20, () -> {
                try {
                    return admin.describeCluster().nodes().get().stream().map(node -> node.id()).sorted().toList().equals(List.of(1, 2));
                } catch (Exception error) {
                    throw new RuntimeException(error);
                }
            });
        }
        Check.same(records(), RECORDS + 2L, "records");
    }
}
