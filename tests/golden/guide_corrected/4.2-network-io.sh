# buffers of programs that ask for them (UDP, QUIC)
echo 16777216 > /proc/sys/net/core/rmem_max
echo 16777216 > /proc/sys/net/core/wmem_max

# TCP buffers: least, start, most
sysctl -w net.ipv4.tcp_rmem="4096 131072 16777216"
sysctl -w net.ipv4.tcp_wmem="4096 16384 16777216"

# latency
ping -c 10 target_host

# bandwidth
docker run --rm --network host alpine:3.22 sh -c "apk add -q iperf3 && iperf3 -c target_host -t 30"

# reachability
nc -zv target_host 443
