# the policy of a task
chrt -p 1

# priority between containers
docker run --rm --cpu-shares=2048 nginx:1.29-alpine

# cores of its own
docker run --rm --cpuset-cpus="2,3" nginx:1.29-alpine
