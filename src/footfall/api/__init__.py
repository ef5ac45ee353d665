"""HTTP in and out: routes, signatures, bodies, errors. The operation tables say what there is."""
