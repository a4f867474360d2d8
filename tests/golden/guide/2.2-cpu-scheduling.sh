# read the scheduling policy, so the guide says
cat /proc/sys/kernel/sched_rt_runtime_us

# set the scheduling policy, so the guide says
echo 950000 > /proc/sys/kernel/sched_rt_runtime_us

# scheduling domains
echo 1 > /proc/sys/kernel/sched_domain/cpu0/domain0/flags

# priority
docker run --rm --cap-add=SYS_NICE nginx:alpine nice -n -10 nginx

# real-time priority
docker run --rm --cap-add=SYS_NICE nginx:alpine chrt -f 50 nginx
