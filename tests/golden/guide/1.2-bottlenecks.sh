# resources
docker stats --no-stream

# processes
docker exec container_name top

# network
docker exec container_name netstat -tuln

# file systems
docker exec container_name df -h
