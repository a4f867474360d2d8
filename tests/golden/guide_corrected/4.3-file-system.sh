# mount options of the data volume
mount -o remount,noatime /var/lib/data

# write back early and in the background
echo 5 > /proc/sys/vm/dirty_background_ratio
echo 15 > /proc/sys/vm/dirty_ratio
