# One image for the bot and for its debug pods: one digest to pull beforehand, to sign and to pin.
# The base can be replaced where no public registry may be reached: --build-arg BASE_IMAGE=...
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
COPY requirements.txt /build/
# Both stages have the same interpreter at the same path, so the environment can be copied as it is. Its own pip is left
# out of it: nothing is installed at run time.
RUN python3 -m venv --without-pip /app/.venv \
 && python3 -m venv /build/pip \
 && /build/pip/bin/pip --python /app/.venv/bin/python install --require-hashes --only-binary :all: -r /build/requirements.txt
COPY diagnostics /app/diagnostics
COPY bot /app/bot
# Compiled here, because the container's file system is read-only and a probe has no second to lose.
RUN /app/.venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="conntrack-bot" \
      org.opencontainers.image.description="Finds out why everything times out while the network is up: the node's conntrack table is full." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app /app
# `python3` stays the system's: the probe needs the standard library only, and starts sooner without an environment.
# WORKDIR is where `python3 -m diagnostics.probe` finds its package.
WORKDIR /app
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["/app/.venv/bin/python", "-m", "bot"]
