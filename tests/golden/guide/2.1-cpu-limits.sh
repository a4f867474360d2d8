# limit CPU use
docker run --cpus="1.5" nginx:alpine

# limit the number of cores, so the guide says
docker run --cpus="2" nginx:alpine

# bind to cores
docker run --cpuset-cpus="0,1" nginx:alpine

# weight
docker run --cpu-shares=512 nginx:alpine
