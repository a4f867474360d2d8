# resources
docker run --rm -it --pid host htop

# disk
docker run --rm -it --privileged iotop

# network
docker run --rm -it --net host nethogs

# CPU profile
docker run --rm -it --privileged --pid host perf top

# Java
docker exec java-container jstat -gc 1 1s

# Java heap
docker exec java-container jmap -histo 1

# Java threads
docker exec java-container jstack 1
