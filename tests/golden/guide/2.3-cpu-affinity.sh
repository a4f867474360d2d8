# set
docker run --rm --cpuset-cpus="0,1" nginx:alpine

# read
docker exec container_name taskset -p 1

# change while it runs
docker exec container_name taskset -cp 0,1 1
