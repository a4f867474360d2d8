# set
docker run --rm --cpuset-cpus="0,1" nginx:1.29-alpine

# read, for all threads
docker exec container_name taskset -a -p 1

# change while it runs
docker update --cpuset-cpus=0,1 container_name
