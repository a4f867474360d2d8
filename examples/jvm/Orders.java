import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;

/** Orders in memory: a cache that lives, and much garbage for every report. `java -cp DIR Orders PORT CACHED`. */
public final class Orders {
    record Line(String article, double price, int pieces) {}

    record Order(long number, List<Line> lines) {}

    private static final ConcurrentHashMap<Long, Order> CACHE = new ConcurrentHashMap<>();
    private static int cached;

    private static Order made(long number) {
        List<Line> lines = new ArrayList<>();
        for (int n = 0; n < 8; n++) {
            lines.add(new Line("article " + (number * 31 + n) % 9973, (number % 97) * 1.25 + n, n + 1));
        }
        return new Order(number, lines);
    }

    /** Copies, sorts and formats orders; one in twenty of the cached ones is replaced by a new one. */
    private static String report() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        List<Line> seen = new ArrayList<>();
        for (int n = 0; n < 400; n++) {
            long number = random.nextLong(cached);
            Order order = n % 20 == 0 ? made(number) : CACHE.get(number);
            if (n % 20 == 0) {
                CACHE.put(number, order);
            }
            for (Line line : order.lines()) {
                seen.add(new Line(line.article().toUpperCase(), line.price(), line.pieces()));
            }
        }
        seen.sort(Comparator.comparingDouble(Line::price).reversed());
        StringBuilder text = new StringBuilder();
        for (Line line : seen.subList(0, 50)) {
            text.append(String.format("%s %.2f%n", line.article(), line.price() * line.pieces()));
        }
        return text.toString();
    }

    private static String metrics() {
        StringBuilder text = new StringBuilder();
        for (GarbageCollectorMXBean gc : ManagementFactory.getGarbageCollectorMXBeans()) {
            String label = "{gc=\"" + gc.getName() + "\"} ";
            text.append("jvm_gc_collection_seconds_count").append(label).append(gc.getCollectionCount()).append('\n');
            text.append("jvm_gc_collection_seconds_sum").append(label).append(gc.getCollectionTime() / 1e3).append('\n');
        }
        var heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
        text.append("jvm_memory_used_bytes{area=\"heap\"} ").append(heap.getUsed()).append('\n');
        return text.append("jvm_memory_max_bytes{area=\"heap\"} ").append(heap.getMax()).append('\n').toString();
    }

    private static void answer(HttpExchange exchange, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    public static void main(String[] arguments) throws IOException {
        System.setProperty("sun.net.httpserver.nodelay", "true"); // else head and body wait 40 ms for one another
        cached = Integer.parseInt(arguments[1]);
        for (long number = 0; number < cached; number++) {
            CACHE.put(number, made(number));
        }
        var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(arguments[0]));
        HttpServer server = HttpServer.create(address, 256);
        server.createContext("/report", exchange -> answer(exchange, report()));
        server.createContext("/metrics", exchange -> answer(exchange, metrics()));
        server.createContext("/healthz", exchange -> answer(exchange, "ok\n"));
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.start();
    }
}
