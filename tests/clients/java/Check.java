// One check a sentence: prints `ok`, `FAIL` or `skip` lines that tests/clients/run counts.

import java.util.Objects;
import java.util.function.BooleanSupplier;

final class Check {
    interface Work {
        void run() throws Throwable;
    }

    static final String BROKER = System.getenv("BOOTSTRAP");
    static boolean failed = false;

    static void check(String sentence, Work work) {
        long start = System.nanoTime();
        try {
            work.run();
            System.out.printf("ok   %s (%.1f s)%n", sentence, (System.nanoTime() - start) / 1e9);
        } catch (Throwable error) {
            failed = true;
            Throwable root = error;
            while (root.getCause() != null) root = root.getCause();
            String text = (root + " " + error.getMessage()).replaceAll("\\s+", " ");
            System.out.printf("FAIL %s: %s%n", sentence, text.substring(0, Math.min(900, text.length())));
        }
        System.out.flush();
    }

    static void skip(String sentence, String why) {
        System.out.printf("skip %s: %s%n", sentence, why);
    }

    static void same(Object found, Object wanted, String what) {
        if (!Objects.equals(found, wanted)) {
            String text = what + ": " + found + " instead of " + wanted;
            throw new AssertionError(text.substring(0, Math.min(600, text.length())));
        }
    }

    static void holds(String text, String part) {
        if (!text.contains(part)) {
            throw new AssertionError("no '" + part + "' at the end of: " + text.substring(Math.max(0, text.length() - 600)));
        }
    }

    static void until(String what, int seconds, BooleanSupplier ready) throws InterruptedException {
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        while (System.nanoTime() < end) {
            if (ready.getAsBoolean()) return;
            Thread.sleep(50);
        }
        throw new AssertionError(what + ": not within " + seconds + " s");
    }
}
