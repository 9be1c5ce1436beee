# orderdeck in one container: supervisord in the foreground, every daemon below it, PostgreSQL elsewhere.
FROM python:3.11-slim

RUN useradd --create-home --uid 10001 orderdeck \
    && mkdir /app \
    && chown orderdeck:orderdeck /app
USER orderdeck
WORKDIR /app

# The same places as in a checkout, so that supervisord.conf and supervisorctl work here as they do there.
RUN python -m venv .venv
COPY --chown=orderdeck:orderdeck requirements.txt ./
RUN .venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt

COPY --chown=orderdeck:orderdeck pyproject.toml README.md LICENSE supervisord.conf ./
COPY --chown=orderdeck:orderdeck migrations/ migrations/
COPY --chown=orderdeck:orderdeck deploy/ deploy/
COPY --chown=orderdeck:orderdeck core/ core/
COPY --chown=orderdeck:orderdeck daemons/ daemons/
COPY --chown=orderdeck:orderdeck tui/ tui/
RUN .venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && mkdir -p .orderdeck/run .orderdeck/logs

EXPOSE 8080 8081 8090
STOPSIGNAL SIGTERM
CMD ["/app/.venv/bin/supervisord", "-n", "-c", "/app/supervisord.conf"]
