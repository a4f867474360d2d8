# against a noisy neighbour: half of what the device was measured to do
docker run --device-read-bps /dev/nvme0n1:200mb nginx:1.29-alpine
docker run --device-write-bps /dev/nvme0n1:100mb nginx:1.29-alpine
docker run --device-read-iops /dev/nvme0n1:20000 nginx:1.29-alpine
docker run --device-write-iops /dev/nvme0n1:10000 nginx:1.29-alpine
