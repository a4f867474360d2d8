# CPU: the spread of bogo-ops between repetitions is the noise of the node
docker run --rm --cpus="1.0" alpine:3.22 sh -c "apk add -q stress-ng && stress-ng --cpu 1 --metrics --timeout 60s"

# memory
docker run --rm -m 512m alpine:3.22 sh -c "apk add -q stress-ng && stress-ng --vm 1 --vm-bytes 256m --metrics --timeout 60s"

# disk: block size and fsync of the database, on its own volume
docker run --rm -v pgdata:/test alpine:3.22 sh -c \
  "apk add -q fio && fio --name=db --directory=/test --rw=randwrite --bs=8k --fsync=1 --size=1G --runtime=60 --time_based"

# network: a server that ends after one test, and a client
docker network create bench
docker run -d --rm --name iperf --network bench alpine:3.22 sh -c "apk add -q iperf3 && iperf3 -s --one-off"
docker run --rm --network bench alpine:3.22 sh -c "apk add -q iperf3 && sleep 2 && iperf3 -c iperf -t 30"
docker network rm bench
