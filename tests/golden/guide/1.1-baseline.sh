# CPU
docker run --rm --cpus="1.0" stress-ng --cpu 1 --timeout 60s

# memory
docker run --rm -m 512m stress-ng --vm 1 --vm-bytes 256m --timeout 60s

# disk
docker run --rm -v /tmp:/test stress-ng --io 1 --timeout 60s

# network
docker run --rm --network host iperf3 -s
