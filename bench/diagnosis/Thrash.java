import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Executors;

/** A service that keeps `live` MB for good and makes `garbage` kB for each request: java Thrash PORT LIVE GARBAGE PIDFILE */
public final class Thrash {
    private static byte[][] kept;

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(arguments[0]);
        int live = Integer.parseInt(arguments[1]);
        int garbage = Integer.parseInt(arguments[2]);
        kept = new byte[live * 256][];
        for (int i = 0; i < kept.length; i++) {
            kept[i] = new byte[4080];
        }
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 256);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            byte[][] made = new byte[garbage][];
            for (int i = 0; i < made.length; i++) {
                made[i] = new byte[1008];
                made[i][0] = (byte) i;
            }
            byte[] body = ("done " + made[made.length - 1][0] + "\n").getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        Files.writeString(Path.of(arguments[3]), ProcessHandle.current().pid() + "\n");
    }
}
