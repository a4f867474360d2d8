# host
docker run --network host nginx:alpine

# macvlan
docker network create -d macvlan --subnet=192.168.1.0/24 --gateway=192.168.1.1 -o parent=eth0 macvlan-net
docker run --network macvlan-net nginx:alpine
