# a node that has swap, and services that should stay in memory
echo 10 > /proc/sys/vm/swappiness

# Java: the collector is chosen from the limits
docker run --cpus=2 -m 2g -e JDK_JAVA_OPTIONS="-XX:MaxGCPauseMillis=100 -XX:MaxRAMPercentage=70.0" java-app

# Go: fewer collections, inside the limit
docker run -m 1g -e GOGC=200 -e GOMEMLIMIT=920MiB go-app

# Node.js: a heap inside the limit
docker run -m 5g -e NODE_OPTIONS="--max-old-space-size=4096" node-app
