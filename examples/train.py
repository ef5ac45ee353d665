"""A training script that knows nothing of Footfall but two variables: docs/howto/run-commands.md runs it.

    footfall run --project example -- python3 train.py --lr 0.1

It fits a line to made-up points by gradient descent, posts its loss to $NSML_METRIC_API as it goes, and leaves what it learned
in $NSML_OUTPUT_DIR. Without them, as on one's own desk, it only prints.
"""

import argparse
import json
import os
import random
import urllib.error
import urllib.request
from pathlib import Path


def post(**metrics: float) -> None:
    """Report metrics; training goes on when that fails."""
    url = os.environ.get("NSML_METRIC_API")
    if url:
        body = json.dumps({name.replace("step", "@step"): value for name, value in metrics.items()}).encode()
        try:
            urllib.request.urlopen(urllib.request.Request(url, body, method="POST"), timeout=1).close()
        except (urllib.error.URLError, OSError) as error:
            print(f"metrics of step {metrics['step']} are lost: {error}")


def main() -> None:
    """Fit y = 3 x + 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    dice = random.Random(0)
    points = [(x, 3 * x + 1 + dice.gauss(0, 0.1)) for x in (dice.random() for _ in range(100))]
    slope = offset = 0.0
    for step in range(args.steps):
        errors = [slope * x + offset - y for x, y in points]
        loss = sum(error * error for error in errors) / len(points)
        slope -= args.lr * 2 * sum(error * x for error, (x, _) in zip(errors, points, strict=True)) / len(points)
        offset -= args.lr * 2 * sum(errors) / len(points)
        post(step=step, loss=loss)
        if step % 50 == 0:
            print(f"step {step}: loss {loss:.4f}", flush=True)
    print(f"y = {slope:.2f} x + {offset:.2f}")
    Path(os.environ.get("NSML_OUTPUT_DIR", "."), "model.json").write_text(json.dumps({"slope": slope, "offset": offset}))


if __name__ == "__main__":
    main()
