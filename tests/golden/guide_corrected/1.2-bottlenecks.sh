# resources, twice, and whether the quota throttled
docker stats --no-stream
docker exec container_name cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/memory.events

# processes
docker exec container_name top -b -n 1

# network: sockets by state, and queues that overflowed
docker exec container_name ss -s
docker exec container_name nstat -az TcpExtListenOverflows

# file systems: space and inodes of the volume
docker exec container_name df -h /var/lib/data
docker exec container_name df -i /var/lib/data
