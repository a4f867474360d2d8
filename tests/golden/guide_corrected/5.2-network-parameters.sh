# buffers
echo 16777216 > /proc/sys/net/core/rmem_max
echo 16777216 > /proc/sys/net/core/wmem_max

# connection tracking: twice the peak of flows
echo 524288 > /proc/sys/net/netfilter/nf_conntrack_max
