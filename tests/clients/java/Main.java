// Runs the Java client's story, then Kafka's tools, in one JVM.

final class Main {
    public static void main(String[] args) {
        if (args.length == 0 || args[0].equals("client")) Client.run();
        if (args.length == 0 || args[0].equals("tools")) Tools.run();
        Runtime.getRuntime().halt(Check.failed ? 1 : 0);
    }
}
