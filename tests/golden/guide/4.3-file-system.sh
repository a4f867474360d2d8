# mount options
mount -o remount,noatime,nodiratime /

# cache, so the guide says
echo 1 > /proc/sys/vm/drop_caches

# synchronisation, so the guide says
echo 0 > /proc/sys/vm/dirty_ratio
echo 5 > /proc/sys/vm/dirty_background_ratio
