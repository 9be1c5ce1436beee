# orderdeck in an image: by default supervisord in the foreground with every daemon below it, on an embedded PostgreSQL
# unless DATABASE_URL names another. `python -m daemons.NAME` as the command runs one daemon alone.
# BASE is any Debian with Python 3.11 or newer; deploy/build-image.sh makes one from Debian's packages.
ARG BASE=python:3.11-slim

FROM ${BASE} AS installed
WORKDIR /app
# The same places as in a checkout: that with supervisord.conf has its home in .orderdeck.
RUN python3 -m venv .venv
COPY requirements.txt ./
RUN .venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE supervisord.conf ./
COPY deploy/healthy.py deploy/start.py deploy/
COPY migrations/ migrations/
COPY docs/reference/schemas/ docs/reference/schemas/
COPY core/ core/
COPY daemons/ daemons/
COPY tui/ tui/
# Everything is compiled here, since nothing can be written beside it later. What only installs is left out of the image.
RUN .venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && .venv/bin/pip uninstall --yes setuptools pip \
    && .venv/bin/python -m compileall -q --invalidation-mode unchecked-hash core daemons tui migrations deploy .venv/lib

FROM ${BASE}
LABEL org.opencontainers.image.title="orderdeck" \
      org.opencontainers.image.description="An event-sourced order desk: its daemons, and the deck" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --no-log-init --create-home --uid 10001 orderdeck \
    && install --directory --owner=10001 --group=10001 --mode=700 /app/.orderdeck
COPY --from=installed /app /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
# The number and not the name, so that Kubernetes sees that it is not root.
USER 10001:10001
WORKDIR /app
EXPOSE 8080 8081 8082 8090 9101 9102 9103 9104 9105
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=15s --start-period=60s --retries=3 \
    CMD ["/app/.venv/bin/python", "/app/deploy/healthy.py"]
CMD ["/app/.venv/bin/python", "/app/deploy/start.py"]
