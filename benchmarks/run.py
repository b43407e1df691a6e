"""All benchmarks of tinygrad_mlp, one table each.

    make bench                                    all of them, with PyTorch installed
    python benchmarks/run.py --only steps op      some of them
    python benchmarks/run.py --json figures.json  the figures as data too

What is compared runs in turns in one process with the same number of threads. Read the ratios: the absolute times
belong to one machine and one moment.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

# Run as a script, only this folder is on the path; the project's own folder need not be installed.
sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from contenders import PEERS
from harness import Settings, environment, has, limit_threads, pin

# name: (module, what it measures)
BENCHMARKS = {
    "steps": ("steps", "training steps against hand-written NumPy, PyTorch, JAX, scikit-learn, autograd, MyGrad"),
    "first": ("first_call", "the first calls of a compiled step: capture and compiler, cold and from the cache"),
    "micrograd": ("scalar_graph", "micrograd's own demo: a graph of single numbers, against micrograd"),
    "op": ("binary_op", "a binary op on 4 elements, recorded and walked back"),
    "growth": ("growth", "how a step's time grows with batch, width and depth"),
    "func": ("derivatives", "Jacobians, Hessians, gradients per sample against torch.func and JAX"),
    "memory": ("memory", "peak memory of the batch-256 step"),
    "deep": ("deep", "chains of up to a million ops, recursion limit 200, small stack"),
    "leaks": ("leaks", "10,000 training steps without the garbage collector"),
    "startup": ("startup", "import time over NumPy's and installed size, ours and the peers'"),
    "fashion": ("fashion", "an epoch of Fashion-MNIST through fit, against Keras, scikit-learn and a PyTorch loop"),
    "estimators": ("estimators", "fits of our MLP estimators beside those of scikit-learn"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; returns the exit status, which does not depend on the figures."""
    args = _parser().parse_args(arguments)
    left_out = tuple(args.without)
    settings = Settings(threads=args.threads, without=left_out)
    if args.quick:
        settings = Settings(quick=True, rounds=2, block=0.0005, threads=args.threads, without=left_out)
    begin = time.perf_counter()
    pin(settings.threads)
    if has("torch"):
        importlib.import_module("torch")
    with limit_threads(settings.threads):
        facts = environment(settings)
    for name, value in facts.items():
        print(f"{name + ':':<14}{value}")
    if args.quick:
        print("--quick: this shows that everything runs; the figures mean nothing.")
    tables = []
    for name in args.only or BENCHMARKS:
        found = importlib.import_module(BENCHMARKS[name][0]).measure(settings)
        for table in found if isinstance(found, list) else [found]:
            print(f"\n{table}", flush=True)
            tables.append(table.as_json())
        if args.json:
            # After each benchmark, so that what was measured is kept if a later one is broken off.
            figures = {"environment": facts, "tables": tables, "seconds": time.perf_counter() - begin}
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"\n{time.perf_counter() - begin:.0f} s in all")
    return 0


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(f"  {name:<9} {what}" for name, (_, what) in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="run.py",
        description=__doc__,
        epilog=f"benchmarks:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=BENCHMARKS, help="run only these benchmarks")
    parser.add_argument(
        "--without", metavar="NAME", nargs="+", default=(), choices=PEERS, help="leave out these peers in `steps`"
    )
    parser.add_argument("--quick", action="store_true", help="only show that everything runs, in a few seconds")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write all figures to FILE")
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        default=1,
        help="of NumPy's BLAS and of PyTorch (default: 1, timed on the core; with more it is the wall "
        "clock, and on a machine that does other work too the figures scatter)",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
