#!/usr/bin/env bash
# obstore lists the folder marker "sub/" as an object "sub", which then does not exist; and one key "a//b" hides its whole page.
#
# Expected: the marker is listed under its own key or left out; a key that is no path is left out, or ends the listing at its place.
# Seen (obstore 0.12.1): list() gives "logs/sub" of 0 bytes, head("logs/sub") is not found. With "logs/x//y" beside 20 good keys
# the first page raises, so that not one of the 20 is seen.
# Source: https://docs.rs/object_store/latest/object_store/path/struct.Path.html, which says how paths are cleaned, not what becomes
# of a listing.
# In Footfall: stores/datasets.py passes markers over; stores/botocore_s3.py lists around such keys and counts them.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "obstore==0.12.1" "botocore==1.44.5" "moto[s3,server]==5.2.5"
AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testtest "$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version

import botocore.session
import obstore
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
try:
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1", endpoint_url=endpoint)
    client.create_bucket(Bucket="marks")
    store = S3Store("marks", endpoint=endpoint, region="us-east-1", client_options={"allow_http": True})
    for number in range(20):
        client.put_object(Bucket="marks", Key=f"logs/{number:02}", Body=b"x")
    client.put_object(Bucket="marks", Key="logs/sub/", Body=b"")
    listed = [each["path"] for page in obstore.list(store, "logs") for each in page]
    try:
        obstore.head(store, "logs/sub")
        head = "found"
    except FileNotFoundError:
        head = "not found"
    client.put_object(Bucket="marks", Key="logs/x//y", Body=b"x")
    n_seen, error = 0, ""
    try:
        for page in obstore.list(store, "logs"):
            n_seen += len(page)
    except Exception as caught:
        error = str(caught).splitlines()[0]
finally:
    server.stop()
print("obstore", version("obstore"))
print(f"  marker logs/sub/: listed as {listed[-1]!r}, head of that is {head}")
print(f"  with logs/x//y: {n_seen} of 20 objects seen, {error}")
assert (listed[-1], head, n_seen) == ("logs/sub", "not found", 0), "the behaviour has changed"
assert "empty path segment" in error, "the behaviour has changed"
PY
