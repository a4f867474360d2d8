# host
docker run --network host nginx:1.29-alpine

# macvlan, with addresses that nobody else gives out
docker network create -d macvlan --subnet=10.40.0.0/16 --ip-range=10.40.8.0/24 --gateway=10.40.0.1 -o parent=eth0 macvlan-net
docker run --network macvlan-net nginx:1.29-alpine
