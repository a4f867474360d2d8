# CPU and disk of one container, as numbers
docker exec java-container cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/io.stat

# network
docker exec java-container ss -ti

# CPU profile with the one capability that it needs
docker run --rm --cap-add=PERFMON --pid=container:java-container -v "$(pwd)":/out alpine:3.22 sh -c \
  "apk add -q perf && perf record -g -p 1 -o /out/perf.data -- sleep 30"

# Java: ten readings
docker exec java-container jstat -gc 1 1s 10

# Java heap
docker exec java-container jcmd 1 GC.heap_info

# Java threads
docker exec java-container jcmd 1 Thread.print
