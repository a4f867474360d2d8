# One image for controller, worker and watchdog:  docker build -t trimtab:0.1.0 .
# The base is any image with Python 3.11 or newer on a Debian; --build-arg BASE=... takes a mirror's.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
COPY requirements/worker.txt /tmp/worker.txt
# Every package is checked against its hash; the optimizer's mathematics is part of it.
RUN python -m venv /app/.venv \
 && /app/.venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/worker.txt \
 && /app/.venv/bin/pip uninstall --yes pip setuptools
RUN printf '#!/bin/sh\nexec python -m console "$@"\n' > /app/trimtab && chmod 755 /app/trimtab

FROM ${BASE}
# Debian packages to add: git, where proposals are committed to a repository (workload.propose).
ARG PACKAGES=""
RUN if [ -n "$PACKAGES" ]; then \
      apt-get update && apt-get install --yes --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=build /app /app
WORKDIR /app
COPY domain/ domain/
COPY optimizers/ optimizers/
COPY detectors/ detectors/
COPY linting/ linting/
COPY diagnosis/ diagnosis/
COPY adapters/ adapters/
COPY catalogue/ catalogue/
COPY controller/ controller/
COPY workers/ workers/
COPY console/ console/
COPY LICENSE ./
# Nothing is written beside the code, which may lie on a read-only file system.
ENV PATH=/app/.venv/bin:/app:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
RUN python -m compileall -q /app/domain /app/optimizers /app/detectors /app/linting /app/diagnosis /app/adapters \
      /app/controller /app/workers /app/console
USER 65532:65532
EXPOSE 8080
CMD ["python", "-m", "controller"]
