# memory
docker run -m 512m nginx:1.29-alpine

# memory and swap
docker run -m 512m --memory-swap=1g nginx:1.29-alpine

# no swap
docker run -m 512m --memory-swap=512m nginx:1.29-alpine

# reservation
docker run -m 512m --memory-reservation=256m nginx:1.29-alpine
