# read rate
docker run --device-read-bps /dev/sda:1mb nginx:alpine

# write rate
docker run --device-write-bps /dev/sda:1mb nginx:alpine

# operations
docker run --device-read-iops /dev/sda:100 nginx:alpine
docker run --device-write-iops /dev/sda:100 nginx:alpine
