# valgrind, off line, in the program's own image family
docker run --rm -v "$(pwd)":/app debian:13 sh -c \
  "apt-get update -q && apt-get install -qy valgrind && valgrind --tool=memcheck --leak-check=full /app/myapp"

# a build with -fsanitize=address checks for leaks by itself
docker run --rm --cap-add=SYS_PTRACE myapp:asan

# massif, with its report
docker run --rm -v "$(pwd)":/app debian:13 sh -c \
  "apt-get update -q && apt-get install -qy valgrind && valgrind --tool=massif --massif-out-file=/app/out /app/myapp && ms_print /app/out"
