# a fixed rate, from inside the service's network, for five minutes
docker run --rm --network shop ghcr.io/hatoo/oha:1.4.6 -z 300s -q 200 --latency-correction http://shop:8080/

# the same with another tool
docker run --rm --network shop peterevans/vegeta:6.9.1 sh -c \
  "echo 'GET http://shop:8080/' | vegeta attack -rate=200 -duration=300s | vegeta report"
