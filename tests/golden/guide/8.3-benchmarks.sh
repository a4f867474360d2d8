# wrk
docker run --rm williamyeh/wrk -t12 -c400 -d30s http://localhost:8080/

# ab
docker run --rm httpd:alpine ab -n 1000 -c 10 http://localhost:8080/

# hey
docker run --rm rakyll/hey -n 1000 -c 10 http://localhost:8080/
