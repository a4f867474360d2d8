# a share of time, and as many workers as it feeds
docker run --cpus="1.5" -e NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE=1 nginx:1.29-alpine

# one worker for each CPU of the limit
docker run --cpus="2" nginx:1.29-alpine nginx -g 'worker_processes 2; daemon off;'

# cores that this container may use; others may use them too
docker run --cpuset-cpus="0,1" nginx:1.29-alpine

# weight under contention
docker run --cpu-shares=512 nginx:1.29-alpine
