"""The HTTP API: routing, signatures, bodies, errors. The operation tables list what there is."""
