// Runs the Java client's story, then Kafka's tools, in one JVM; or the tools for clusters; or what the chaos test asks for.

final class Main {
    public static void main(String[] args) throws Exception {
        if (args.length > 0 && args[0].equals("chaos")) Runtime.getRuntime().halt(Chaos.run(args) ? 0 : 1);
        if (args.length > 0 && args[0].equals("cluster")) Moves.run();
        if (args.length == 0 || args[0].equals("client")) Client.run();
        if (args.length == 0 || args[0].equals("tools")) Tools.run();
        Runtime.getRuntime().halt(Check.failed ? 1 : 0);
    }
}
