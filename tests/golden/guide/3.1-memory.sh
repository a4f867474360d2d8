# memory
docker run -m 512m nginx:alpine

# memory and swap
docker run -m 512m --memory-swap=1g nginx:alpine

# no swap
docker run -m 512m --memory-swap=512m nginx:alpine

# reservation
docker run -m 512m --memory-reservation=256m nginx:alpine

# allocation policy
echo 1 > /proc/sys/vm/overcommit_memory

# reclaim policy, so the guide says
echo 1 > /proc/sys/vm/drop_caches

# compression, so the guide says
echo 1 > /sys/kernel/mm/compaction/vm/compact_memory
