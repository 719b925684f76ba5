// Kafka's own command line tools, each started through its main method as its shell script does, in one JVM.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.common.utils.Exit;

final class Tools {
    interface Main {
        void main(String[] args) throws Exception;
    }

    // Thrown where a tool would end the process. Some tools catch it and end once more: the first code counts.
    static final class Ended extends RuntimeException {
        private static final long serialVersionUID = 1;
        static Integer code = null;

        Ended(int code, String message) {
            super("the tool ended with " + code + " " + message);
            if (Ended.code == null) Ended.code = code;
        }
    }

    static final String TOPIC = "tools-" + UUID.randomUUID().toString().substring(0, 8);
    // What a tool does when its process ends: it closes its client and prints its last line there.
    static final List<Runnable> HOOKS = new ArrayList<>();
    static final String GROUP = TOPIC + "-group";

    // From now on a tool that would end the process says so.
    static void catchExits() {
        Exit.setExitProcedure((code, message) -> { throw new Ended(code, message); });
        Exit.setHaltProcedure((code, message) -> { throw new Ended(code, message); });
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
    }

    static void run() {
        catchExits();
        Check.check("kafka-topics creates, lists, describes, grows and deletes", Tools::topics);
        Check.check("kafka-console-producer and kafka-console-consumer carry keys, headers and values", Tools::console);
        Check.check("kafka-verifiable-producer and kafka-verifiable-consumer agree on every record", Tools::verifiable);
        Check.check("kafka-consumer-groups lists, describes, resets and deletes", Tools::groups);
        Check.check("kafka-configs alters, describes and takes back a topic's config", Tools::configs);
        Check.check("kafka-get-offsets, kafka-delete-records, kafka-broker-api-versions and kafka-metadata-quorum answer", Tools::smaller);
        String directory = System.getenv("DATA_DIR");
        String sentence = "kafka-dump-log reads a segment file that the server wrote";
        if (directory == null) {
            Check.skip(sentence, "the server's data directory is not known (--data-dir)");
        } else {
            Check.check(sentence, () -> dump(Path.of(directory)));
        }
    }

    // Runs a tool with its output caught; a tool that ends with another code than 0 is a failure.
    static String tool(Main main, String input, String... args) throws Exception {
        String found = attempt(main, input, args);
        if (Ended.code != null && Ended.code != 0) throw new AssertionError("the tool ended with " + Ended.code + ": " + found);
        return found;
    }

    // Runs a tool with its output caught, however it ends: Ended.code says how, if it said so itself.
    static String attempt(Main main, String input, String... args) throws Exception {
        PrintStream out = System.out, err = System.err;
        InputStream in = System.in;
        ByteArrayOutputStream caught = new ByteArrayOutputStream();
        PrintStream catcher = new PrintStream(caught, true, StandardCharsets.UTF_8);
        Ended.code = null;
        try {
            System.setOut(catcher);
            System.setErr(catcher);
            System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
            main.main(args);
        } catch (Ended ended) {
            catcher.flush();
        } finally {
            HOOKS.forEach(Runnable::run);
            HOOKS.clear();
            System.setOut(out);
            System.setErr(err);
            System.setIn(in);
        }
        return caught.toString(StandardCharsets.UTF_8);
    }

    static String[] with(String... more) {
        return Stream.concat(Stream.of("--bootstrap-server", Check.BROKER), Stream.of(more)).toArray(String[]::new);
    }

    static String topic(String... args) throws Exception {
        return tool(org.apache.kafka.tools.TopicCommand::main, "", with(args));
    }

    static void topics() throws Exception {
        Check.holds(topic("--create", "--topic", TOPIC, "--partitions", "3", "--config", "max.message.bytes=64000"),
            "Created topic " + TOPIC);
        Check.holds(topic("--list"), TOPIC);
        String found = topic("--describe", "--topic", TOPIC);
        Check.holds(found, "PartitionCount: 3");
        Check.holds(found, "max.message.bytes=64000");
        Check.holds(found, "Leader: ");
        topic("--alter", "--topic", TOPIC, "--partitions", "4");
        Check.holds(topic("--describe", "--topic", TOPIC), "PartitionCount: 4");
        topic("--create", "--topic", TOPIC + "-gone", "--partitions", "1");
        topic("--delete", "--topic", TOPIC + "-gone");
        if (topic("--list").contains(TOPIC + "-gone")) throw new AssertionError("a deleted topic is still listed");
    }

    static void console() throws Exception {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 100; i++) lines.append("h:").append(i).append("\tkey-").append(i).append("\tvalue ü ").append(i).append('\n');
        tool(org.apache.kafka.tools.ConsoleProducer::main, lines.toString(), with("--topic", TOPIC,
            "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true",
            "--compression-codec", "zstd"));
        String found = tool(org.apache.kafka.tools.consumer.ConsoleConsumer::main, "", with("--topic", TOPIC,
            "--from-beginning", "--max-messages", "100", "--timeout-ms", "20000", "--group", GROUP,
            "--formatter-property", "print.key=true", "--formatter-property", "print.headers=true"));
        Set<String> wanted = lines.toString().lines().collect(Collectors.toSet());
        Set<String> seen = found.lines().filter(line -> line.startsWith("h:")).collect(Collectors.toSet());
        Check.same(seen, wanted, "lines");
    }

    // These two do their last work in hooks of the Java runtime itself: they get a process of their own.
    static String process(Class<?> main, String... args) throws Exception {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), main.getName()));
        command.addAll(List.of(with(args)));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String found = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        Check.same(process.waitFor(), 0, main.getSimpleName() + " ended, after " + found);
        return found;
    }

    static void verifiable() throws Exception {
        String topic = TOPIC + "-verifiable";
        topic("--create", "--topic", topic, "--partitions", "1");
        String sent = process(org.apache.kafka.tools.VerifiableProducer.class, "--topic", topic,
            "--max-messages", "500", "--acks", "-1");
        Check.holds(sent, "\"sent\":500,\"acked\":500");
        String read = process(org.apache.kafka.tools.VerifiableConsumer.class, "--topic", topic,
            "--group-id", GROUP + "-verifiable", "--max-messages", "500", "--reset-policy", "earliest");
        Check.holds(read, "\"name\":\"offsets_committed\"");
        long total = read.lines().filter(line -> line.contains("\"name\":\"records_consumed\""))
            .mapToLong(line -> Long.parseLong(line.replaceAll("^.*?\"count\":(\\d+).*$", "$1"))).sum();
        Check.same(total, 500L, "records consumed");
    }

    static String group(String... args) throws Exception {
        return tool(org.apache.kafka.tools.consumer.group.ConsumerGroupCommand::main, "", with(args));
    }

    static void groups() throws Exception {
        Check.holds(group("--list"), GROUP);
        String found = group("--describe", "--group", GROUP);
        Check.holds(found, TOPIC);
        long lag = found.lines().filter(line -> line.startsWith(GROUP)).mapToLong(line -> Long.parseLong(line.trim().split("\\s+")[5])).sum();
        Check.same(lag, 0L, "lag after the console consumer read everything");
        Check.holds(group("--describe", "--group", GROUP, "--state"), "Empty");
        String reset = group("--reset-offsets", "--group", GROUP, "--topic", TOPIC, "--to-earliest", "--execute");
        Check.holds(reset, TOPIC);
        String after = group("--describe", "--group", GROUP);
        long behind = after.lines().filter(line -> line.startsWith(GROUP)).mapToLong(line -> Long.parseLong(line.trim().split("\\s+")[5])).sum();
        Check.same(behind, 100L, "lag after the reset");
        Check.holds(group("--delete-offsets", "--group", GROUP, "--topic", TOPIC), "Successful");
        Check.holds(group("--delete", "--group", GROUP), "was successful");
        if (group("--list").lines().anyMatch(GROUP::equals)) throw new AssertionError("a deleted group is still listed");
    }

    static String config(String... args) throws Exception {
        return tool(kafka.admin.ConfigCommand::main, "", with(args));
    }

    static void configs() throws Exception {
        String[] entity = {"--entity-type", "topics", "--entity-name", TOPIC};
        config(join(entity, "--alter", "--add-config", "retention.ms=7200000,cleanup.policy=delete"));
        Check.holds(config(join(entity, "--describe")), "retention.ms=7200000");
        Check.holds(config(join(entity, "--describe", "--all")), "segment.bytes=");
        config(join(entity, "--alter", "--delete-config", "retention.ms"));
        if (config(join(entity, "--describe")).contains("retention.ms=7200000")) {
            throw new AssertionError("a config that was taken back is still there");
        }
        Check.holds(config("--entity-type", "brokers", "--describe", "--all"), "log.retention");
    }

    static String[] join(String[] first, String... more) {
        return Stream.concat(Stream.of(first), Stream.of(more)).toArray(String[]::new);
    }

    static void smaller() throws Exception {
        String topic = TOPIC + "-verifiable";
        String offsets = tool(org.apache.kafka.tools.GetOffsetShell::main, "", with("--topic", topic));
        long sum = offsets.lines().filter(line -> line.startsWith(topic)).mapToLong(line -> Long.parseLong(line.split(":")[2])).sum();
        Check.same(sum, 500L, "sum of end offsets");
        Path wanted = Files.createTempFile("delete-records", ".json");
        Files.writeString(wanted, "{\"partitions\":[{\"topic\":\"" + topic + "\",\"partition\":0,\"offset\":3}],\"version\":1}");
        String deleted = tool(org.apache.kafka.tools.DeleteRecordsCommand::main, "", with("--offset-json-file", wanted.toString()));
        Files.delete(wanted);
        Check.holds(deleted, "low_watermark: 3");
        String versions = tool(org.apache.kafka.tools.BrokerApiVersionsCommand::main, "", with());
        Check.holds(versions, "Produce(0): ");
        Check.holds(versions, "DescribeConfigs(32): ");
        String quorum = tool(org.apache.kafka.tools.MetadataQuorumCommand::main, "", with("describe", "--status"));
        Check.holds(quorum, "LeaderEpoch:");
        Check.holds(quorum, "MaxFollowerLag:         0");
        String replicas = tool(org.apache.kafka.tools.MetadataQuorumCommand::main, "", with("describe", "--replication"));
        Check.holds(replicas, "Leader");
    }

    static void dump(Path directory) throws Exception {
        topic("--create", "--topic", TOPIC + "-dump", "--partitions", "1");
        tool(org.apache.kafka.tools.ConsoleProducer::main, "one\ntwo\nthree\n", with("--topic", TOPIC + "-dump",
            "--compression-codec", "gzip"));
        List<Path> segments;
        try (Stream<Path> all = Files.walk(directory)) {
            segments = all.filter(path -> path.toString().contains(TOPIC + "-dump") && path.toString().endsWith(".log")).toList();
        }
        if (segments.isEmpty()) throw new AssertionError("no segment file of the topic below " + directory);
        String found = tool(org.apache.kafka.tools.DumpLogSegments::main, "", "--print-data-log", "--files",
            segments.stream().map(Path::toString).collect(Collectors.joining(",")));
        for (String value : List.of("payload: one", "payload: two", "payload: three", "compresscodec: gzip", "isvalid: true")) {
            Check.holds(found, value);
        }
    }
}
