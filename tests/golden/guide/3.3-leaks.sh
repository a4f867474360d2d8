# valgrind
docker run --rm -v $(pwd):/app valgrind --tool=memcheck --leak-check=full /app/myapp

# AddressSanitizer
docker run --rm -e ASAN_OPTIONS="detect_leaks=1" myapp

# massif
docker run --rm -v $(pwd):/app valgrind --tool=massif /app/myapp
