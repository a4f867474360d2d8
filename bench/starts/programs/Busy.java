import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.ref.SoftReference;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * A service that needs what it was said to need: live heap, threads, direct buffers, metaspace (bytes, all touched), and
 * that fills the rest of the heap with what goes away only when the heap is full.
 * `java -cp DIR Busy PORT LIVE THREADS DIRECT METASPACE`.
 */
public final class Busy {
    private static final int PIECE = 16 << 10;
    private static final int ANSWER = 1 << 20; // bytes of short-lived objects an answer
    private static final int REMEMBERED = 8; // of the pieces of an answer
    private static final int DEPTH = 1200; // calls, interpreted: about 100 bytes of stack each

    private static final List<byte[]> LIVE = new ArrayList<>();
    private static final List<ByteBuffer> DIRECT = new ArrayList<>();
    private static final List<Class<?>> CLASSES = new ArrayList<>();
    private static final List<SoftReference<byte[]>> CACHED = new ArrayList<>();

    /** Defined again and again, each time by a loader of its own. */
    public static final class Filler {
        long a(long x) { return x * 3 + b(x); }
        long b(long x) { return x * 5 + c(x); }
        long c(long x) { return x * 7 + d(x); }
        long d(long x) { return x * 11 + e(x); }
        long e(long x) { return x * 13; }
        String name(Object each) { return each + " of " + getClass().getName(); }
    }

    private static final class Loader extends ClassLoader {
        Class<?> defined(byte[] code) {
            Class<?> made = defineClass("Busy$Filler", code, 0, code.length);
            resolveClass(made);
            return made;
        }
    }

    private static void fillMetaspace(long bytes) throws IOException {
        byte[] code;
        try (InputStream in = Busy.class.getResourceAsStream("Busy$Filler.class")) {
            code = in.readAllBytes();
        }
        MemoryPoolMXBean pool = null;
        for (MemoryPoolMXBean each : ManagementFactory.getMemoryPoolMXBeans()) {
            if (each.getName().equals("Metaspace")) {
                pool = each;
            }
        }
        while (pool.getUsage().getCommitted() < bytes) {
            for (int n = 0; n < 50; n++) {
                CLASSES.add(new Loader().defined(code));
            }
        }
    }

    private static int deep(int left) {
        return left == 0 ? 0 : 1 + deep(left - 1);
    }

    /** Garbage, some of it reachable until the collector needs its room. */
    private static long work() {
        long sum = 0;
        List<byte[]> seen = new ArrayList<>();
        for (int n = 0; n < ANSWER / PIECE; n++) {
            byte[] piece = new byte[PIECE];
            piece[ThreadLocalRandom.current().nextInt(PIECE)] = 1;
            seen.add(piece);
            if (n < REMEMBERED) {
                synchronized (CACHED) {
                    CACHED.add(new SoftReference<>(piece));
                    if (CACHED.size() % 4096 == 0) {
                        CACHED.removeIf(each -> each.get() == null);
                    }
                }
            }
        }
        for (byte[] piece : seen) {
            sum += piece[0];
        }
        return sum;
    }

    private static void answer(HttpExchange exchange, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    public static void main(String[] arguments) throws IOException {
        System.setProperty("sun.net.httpserver.nodelay", "true");
        long live = Long.parseLong(arguments[1]);
        int threads = Integer.parseInt(arguments[2]);
        long direct = Long.parseLong(arguments[3]);
        for (long had = 0; had < live; had += PIECE) {
            byte[] piece = new byte[PIECE - 16];
            LIVE.add(piece);
        }
        for (long had = 0; had < direct; had += 1 << 20) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
            for (int n = 0; n < buffer.capacity(); n += 4096) {
                buffer.put(n, (byte) 1);
            }
            DIRECT.add(buffer);
        }
        fillMetaspace(Long.parseLong(arguments[4]));
        ThreadPoolExecutor pool =
                new ThreadPoolExecutor(threads, threads, 1, TimeUnit.HOURS, new LinkedBlockingQueue<>(), task -> {
                    Thread made = new Thread(() -> {
                        deep(DEPTH);
                        task.run();
                    });
                    return made;
                });
        pool.prestartAllCoreThreads();
        var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(arguments[0]));
        HttpServer server = HttpServer.create(address, 256);
        server.createContext("/work", exchange -> {
            try {
                answer(exchange, work() + "\n");
            } catch (OutOfMemoryError error) {
                System.err.println("out of memory: " + error.getMessage());
                Runtime.getRuntime().halt(3);
            }
        });
        server.createContext("/healthz", exchange -> answer(exchange, "ok\n"));
        server.setExecutor(pool);
        server.start();
    }
}
