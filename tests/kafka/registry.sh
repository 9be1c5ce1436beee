#!/bin/sh
# Runs a command with SCHEMA_REGISTRY_UNDER_TEST set to a real Apicurio, which Maven gets once and which ends with the command.
set -eu
version=3.3.3 port="${REGISTRY_PORT:-18181}" kept="${XDG_CACHE_HOME:-$HOME/.cache}/orderdeck/apicurio-$version"
java="${JAVA:-java}"
if [ ! -e "$kept/quarkus-run.jar" ]; then
    mkdir -p "$kept"
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
        -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" -DoutputDirectory="$kept"
    tar -xzf "$kept/apicurio-registry-app-$version-all.tar.gz" -C "$kept"
    rm "$kept/apicurio-registry-app-$version-all.tar.gz"
fi
"$java" -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$port" \
    -Dquarkus.management.host=127.0.0.1 -Dquarkus.management.port="$((port + 1))" \
    -jar "$kept/quarkus-run.jar" >"$kept/log" 2>&1 &
registry=$!
trap 'kill $registry; wait $registry || true' EXIT
SCHEMA_REGISTRY_UNDER_TEST="http://127.0.0.1:$port/apis/ccompat/v7"
export SCHEMA_REGISTRY_UNDER_TEST
tries=0
until curl -sf "$SCHEMA_REGISTRY_UNDER_TEST/subjects" >/dev/null; do
    kill -0 $registry || { cat "$kept/log"; exit 1; }
    tries=$((tries + 1))
    [ $tries -lt 120 ] || { cat "$kept/log"; exit 1; }
    sleep 0.5
done
"$@"
