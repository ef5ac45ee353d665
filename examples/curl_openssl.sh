#!/usr/bin/env bash
# Sign and send one request with nothing but openssl and curl: docs/howto/curl.md as a script.
#
#     FOOTFALL_ENDPOINT=… FOOTFALL_ACCESS_KEY=… FOOTFALL_SECRET_KEY=… examples/curl_openssl.sh GET "/api/v1/features?index=0"
#     examples/curl_openssl.sh POST /api/v1/features '{"name": "x", "source_bucket": "b", "source_file_path": "p"}'
#     examples/curl_openssl.sh PUT /data/v1/b/p @FILE
#
# Routes below /nsml/v1 also want FOOTFALL_API_KEY.
set -euo pipefail
method=$1 target=$2 body=${3-}

timestamp=$(date +%s%3N)
text="$method $target
$timestamp
$FOOTFALL_ACCESS_KEY"
signature=$(printf %s "$text" | openssl dgst -sha256 -hmac "$FOOTFALL_SECRET_KEY" -binary | openssl base64 -A)

type=application/json
[[ $body == @* ]] && type=application/octet-stream
curl --silent --show-error --fail-with-body --request "$method" "$FOOTFALL_ENDPOINT$target" \
    --header "x-ncp-apigw-timestamp: $timestamp" \
    --header "x-ncp-iam-access-key: $FOOTFALL_ACCESS_KEY" \
    --header "x-ncp-apigw-signature-v2: $signature" \
    ${FOOTFALL_API_KEY:+--header "x-ncp-apigw-api-key: $FOOTFALL_API_KEY"} \
    ${body:+--header "content-type: $type" --data-binary "$body"}
