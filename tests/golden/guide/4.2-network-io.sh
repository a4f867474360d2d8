# buffers
echo 16777216 > /proc/sys/net/core/rmem_max
echo 16777216 > /proc/sys/net/core/wmem_max

# TCP window, so the guide says
echo 65535 > /proc/sys/net/core/rmem_default
echo 65535 > /proc/sys/net/core/wmem_default

# TCP fast open
echo 3 > /proc/sys/net/ipv4/tcp_fastopen

# latency
docker run --rm --network host ping -c 10 target_host

# bandwidth
docker run --rm --network host iperf3 -c target_host

# reachability
docker run --rm --network host nc -zv target_host port
