"""A pre-forking service whose workers need what they were said to need: so many bytes that live, in each of them.

    WEB_CONCURRENCY=3 GUNICORN_CMD_ARGS=--threads=4 python busy.py PORT LIVE

Workers and threads as gunicorn is told them; standard library only.
"""

import os
import re
import signal
import socket
import sys
import threading

PIECE = 1 << 16  # bytes
ANSWER = 64  # pieces that are made anew for an answer


def body() -> bytes:
    made = [bytearray(PIECE) for _ in range(ANSWER)]  # gone when it returns: a thread that waits keeps nothing
    return b"%d\n" % sum(map(len, made))


def serve(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.recv(4096)
                text = body()
                head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(text)
                connection.sendall(head + text)
            except OSError:
                continue  # the client went away


def work(listener: socket.socket, live: int, threads: int) -> None:
    kept = [b"\x01" * PIECE for _ in range(live // PIECE)]
    others = [threading.Thread(target=serve, args=(listener,)) for _ in range(threads - 1)]
    for each in others:
        each.start()
    serve(listener)
    del kept


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=256)
    said = re.search(r"--threads[= ](\d+)", os.environ.get("GUNICORN_CMD_ARGS", ""))
    threads = int(said[1]) if said else 1
    for _ in range(int(os.environ.get("WEB_CONCURRENCY", "1"))):
        if os.fork() == 0:
            work(listener, int(sys.argv[2]), threads)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
