# G1 with a pause target, regions as the JVM chooses them
docker run --cpus=4 -m 4g -e JDK_JAVA_OPTIONS="-XX:MaxGCPauseMillis=100" java-app

# Z
docker run --cpus=4 -m 4g -e JDK_JAVA_OPTIONS="-XX:+UseZGC" java-app

# Parallel, as many threads as the limit feeds
docker run --cpus=4 -m 4g -e JDK_JAVA_OPTIONS="-XX:+UseParallelGC" java-app

# Go: target
docker run -e GOGC=200 go-app

# Go: limit
docker run -m 4500m -e GOMEMLIMIT=4GiB go-app
