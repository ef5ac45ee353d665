"""HTTP without a feature: operations, routing, bodies, responses, errors, rates."""
