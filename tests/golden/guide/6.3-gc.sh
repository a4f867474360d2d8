# G1
docker run -e JAVA_OPTS="-XX:+UseG1GC -XX:MaxGCPauseMillis=200 -XX:G1HeapRegionSize=16m" java-app

# Z
docker run -e JAVA_OPTS="-XX:+UnlockExperimentalVMOptions -XX:+UseZGC" java-app

# Parallel
docker run -e JAVA_OPTS="-XX:+UseParallelGC -XX:ParallelGCThreads=4" java-app

# Go: target
docker run -e GOGC=100 go-app

# Go: limit
docker run -e GOMEMLIMIT=4GiB go-app
