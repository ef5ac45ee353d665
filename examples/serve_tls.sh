#!/usr/bin/env bash
# Serve with TLS and let a client trust it: docs/howto/proxy-tls.md as a script.
#
#     examples/serve_tls.sh HOME
#
# Makes an authority and a certificate for 127.0.0.1 (take real ones for real names), starts a server with it, asks it
# for its health and, signed, for its features, and stops it.
set -euo pipefail
home=$1
mkdir -p "$home/tls"
cd "$home/tls"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=example authority" \
    -addext "keyUsage=critical,keyCertSign" -keyout root.key -out root.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=127.0.0.1" \
    -keyout server.key -out server.csr 2>/dev/null
openssl x509 -req -in server.csr -CA root.pem -CAkey root.key -days 30 -out server.pem \
    -extfile <(echo "subjectAltName=IP:127.0.0.1
authorityKeyIdentifier=keyid") 2>/dev/null
chmod 600 ./*.key

coproc server { exec footfall up --home "$home" --host 127.0.0.1 --port 0 --tls-cert server.pem --tls-key server.key; }
pid=$server_PID
trap 'kill "$pid"; wait "$pid" || true' EXIT
read -r line <&"${server[0]}"
echo "$line"

endpoint=$(sed -n 's/^endpoint = "\(.*\)"/\1/p' "$home/credentials.toml")
curl --silent --show-error --cacert root.pem "$endpoint/healthz" >/dev/null && echo "healthy at $endpoint"
footfall feature list --home "$home" --ca-file root.pem --json
