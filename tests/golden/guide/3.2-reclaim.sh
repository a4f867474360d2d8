# threshold of reclaim, so the guide says
echo 60 > /proc/sys/vm/swappiness

# reclaim policy, so the guide says
echo 1 > /proc/sys/vm/drop_caches

# compression, so the guide says
echo 1 > /sys/kernel/mm/compaction/vm/compact_memory

# Java
docker run -e JAVA_OPTS="-XX:+UseG1GC -XX:MaxGCPauseMillis=200" java-app

# Go
docker run -e GOGC=100 go-app

# Node.js
docker run -e NODE_OPTIONS="--max-old-space-size=4096" node-app
