"""Which way to native code: Numba, or C through the system's compiler? The same two steps written by hand in both.

    python benchmarks/spike_native.py

prints, for the spiral step (2-64-5, batch 500) and the Fashion step (784-300-100-10, batch 32), forward, backward and
SGD in float32: time per step, time of the first call without and with a warm cache, import time, installed size.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import Settings, has, take_turns
from peers import plain_numpy
from workloads import WORKLOADS, Workload

SPIRAL, FASHION = WORKLOADS[1], WORKLOADS[3]
HERE = Path(__file__)

# One text for both workloads: loops over sizes known when it is compiled. BIG sends a product to BLAS.
SOURCE = r"""
#include <math.h>
#include <stdint.h>
typedef void (*Gemm)(int, int, int, int64_t, int64_t, int64_t, float, const float*, int64_t, const float*, int64_t,
                     float, float*, int64_t);
static Gemm gemm;
void set_gemm(void* address) { gemm = (Gemm)address; }

/* c (m, n) = a (m, k) @ b (k, n), all row by row */
static inline void product(int m, int n, int k, const float* restrict a, const float* restrict b, float* restrict c) {
    if ((int64_t)m * n * k > 200000) { gemm(101, 111, 111, m, n, k, 1, a, k, b, n, 0, c, n); return; }
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) c[i * n + j] = 0;
        for (int l = 0; l < k; l++)
            for (int j = 0; j < n; j++) c[i * n + j] += a[i * k + l] * b[l * n + j];
    }
}
/* w (k, n) -= rate * a.T (k, m) @ g (m, n) */
static inline void update(int m, int n, int k, float rate, const float* restrict a, const float* restrict g,
                          float* restrict w, float* restrict scratch) {
    if ((int64_t)m * n * k > 200000) { gemm(101, 112, 111, k, n, m, -rate, a, k, g, n, 1, w, n); return; }
    for (int i = 0; i < k * n; i++) scratch[i] = 0;
    for (int r = 0; r < m; r++)
        for (int l = 0; l < k; l++)
            for (int j = 0; j < n; j++) scratch[l * n + j] += a[r * k + l] * g[r * n + j];
    for (int i = 0; i < k * n; i++) w[i] -= rate * scratch[i];
}
/* d (m, k) = g (m, n) @ w.T (n, k) where h > 0 */
static inline void backward(int m, int n, int k, const float* restrict g, const float* restrict w,
                            const float* restrict h, float* restrict d, float* restrict scratch) {
    if ((int64_t)m * n * k > 200000) {
        gemm(101, 111, 112, m, k, n, 1, g, n, w, n, 0, d, k);
    } else {
        for (int l = 0; l < k; l++) for (int j = 0; j < n; j++) scratch[j * k + l] = w[l * n + j];
        product(m, k, n, g, scratch, d);
    }
    for (int i = 0; i < m * k; i++) d[i] = h[i] > 0 ? d[i] : 0;
}
static inline void bias(int m, int n, float rate, const float* restrict g, float* restrict b) {
    float total[n];
    for (int j = 0; j < n; j++) total[j] = 0;
    for (int i = 0; i < m; i++) for (int j = 0; j < n; j++) total[j] += g[i * n + j];
    for (int j = 0; j < n; j++) b[j] -= rate * total[j];
}
"""

LAYER_FORWARD = """    product(N, {o}, {i}, {x}, w{l}, h{l});
    for (int i = 0; i < N; i++) for (int j = 0; j < {o}; j++) {{
        float v = h{l}[i * {o} + j] + b{l}[j]; h{l}[i * {o} + j] = {act};
    }}
"""
LOSS = """    float loss = 0;
    for (int i = 0; i < N; i++) {{
        float top = h{l}[i * {c}], sum = 0, at = h{l}[i * {c} + t[i]];
        for (int j = 1; j < {c}; j++) top = h{l}[i * {c} + j] > top ? h{l}[i * {c} + j] : top;
        for (int j = 0; j < {c}; j++) {{ float e = expf(h{l}[i * {c} + j] - top); d{l}[i * {c} + j] = e; sum += e; }}
        loss += logf(sum) + top - at;
        for (int j = 0; j < {c}; j++) d{l}[i * {c} + j] /= sum * N;
        d{l}[i * {c} + t[i]] -= 1.0f / N;
    }}
"""


def c_source(workload: Workload) -> str:
    sizes, n = workload.sizes, workload.batch
    last = len(sizes) - 2
    lines = [SOURCE, f"#define N {n}"]
    for place, (i, o) in enumerate(itertools.pairwise(sizes)):
        lines.append(f"static float h{place}[N * {o}], d{place}[N * {o}], s{place}[{i} * {o}];")
    arguments = ", ".join(f"float* w{place}, float* b{place}" for place in range(last + 1))
    lines.append(f"float step(const float* x, const int64_t* t, float rate, {arguments}) {{")
    for place in range(last + 1):
        act = "v" if place == last else "v > 0 ? v : 0"
        x = f"h{place - 1}" if place else "x"
        lines.append(LAYER_FORWARD.format(o=sizes[place + 1], i=sizes[place], x=x, l=place, act=act))
    lines.append(LOSS.format(l=last, c=sizes[-1]))
    for place in range(last, -1, -1):
        i, o = sizes[place], sizes[place + 1]
        if place:
            lines.append(f"    backward(N, {o}, {i}, d{place}, w{place}, h{place - 1}, d{place - 1}, s{place});")
        below = f"h{place - 1}" if place else "x"
        lines.append(f"    update(N, {o}, {i}, rate, {below}, d{place}, w{place}, s{place});")
        lines.append(f"    bias(N, {o}, rate, d{place}, b{place});")
    lines.append("    return loss / N;\n}")
    calls = ", ".join(f"(float*)p[{2 + 2 * k}], (float*)p[{3 + 2 * k}]" for k in range(last + 1))
    lines.append(
        "float steps(int64_t count, float rate, void** p) { float loss = 0; for (int64_t i = 0; i < count; i++) "
        f"loss = step((float*)p[0], (int64_t*)p[1], rate, {calls}); return loss; }}"
    )
    return "\n".join(lines)


def start_values(workload: Workload) -> tuple[Any, Any, list[Any]]:
    x, target = workload.data()
    flat: list[Any] = []
    for weight, bias in workload.weights():
        flat += [np.ascontiguousarray(weight.T), bias.copy()]
    return x, target, flat


def through_c(workload: Workload) -> Callable[[], Any]:
    from tinygrad_mlp.program.native import blas, cache

    library = cache.load(c_source(workload))
    found = blas.find_blas()
    assert found is not None
    assert found.wide
    library.set_gemm(ctypes.c_void_p(found.sgemm))
    library.steps.restype = ctypes.c_float
    x, target, flat = start_values(workload)
    arrays = [x, target, *flat]
    pointers = (ctypes.c_void_p * len(arrays))(*[one.ctypes.data for one in arrays])
    # Ten steps a call: what a whole epoch in C would be, without the call from Python.
    call, rate, keep = library.steps, ctypes.c_float(workload.lr), arrays
    return lambda: call(ctypes.c_int64(10), rate, pointers) or keep


def through_numba(workload: Workload) -> Callable[[], Any]:  # noqa: C901, PLR0915 - steps as one would write them
    import numba

    n, last = workload.batch, len(workload.sizes) - 2
    big = workload.sizes[0] > 100

    @numba.njit(cache=True, error_model="numpy")
    def product(a, b, c):  # type: ignore[no-untyped-def]
        c[:] = 0
        for i in range(a.shape[0]):
            for k in range(a.shape[1]):
                for j in range(b.shape[1]):
                    c[i, j] += a[i, k] * b[k, j]

    @numba.njit(cache=True, error_model="numpy")
    def loops(  # noqa: C901, PLR0912 - the same
        count, rate, x, t, w1, b1, w2, b2, h, z, d, g1, g2
    ):  # type: ignore[no-untyped-def]
        loss = np.float32(0)
        for _ in range(count):
            product(x, w1, h)
            for i in range(h.shape[0]):
                for j in range(h.shape[1]):
                    h[i, j] = max(h[i, j] + b1[j], np.float32(0))
            product(h, w2, z)
            loss = np.float32(0)
            for i in range(z.shape[0]):
                top = np.float32(-np.inf)
                for j in range(z.shape[1]):
                    z[i, j] += b2[j]
                    top = max(top, z[i, j])
                at = z[i, t[i]]
                total = np.float32(0)
                for j in range(z.shape[1]):
                    z[i, j] = np.exp(z[i, j] - top)
                    total += z[i, j]
                loss += np.log(total) + top - at
                for j in range(z.shape[1]):
                    z[i, j] /= total * np.float32(z.shape[0])
                z[i, t[i]] -= np.float32(1) / np.float32(z.shape[0])
            w2t = w2.T.copy()
            product(z, w2t, d)
            for i in range(h.shape[0]):
                for j in range(h.shape[1]):
                    d[i, j] = d[i, j] if h[i, j] > 0 else np.float32(0)
            g2[:] = 0
            g1[:] = 0
            for r in range(x.shape[0]):
                for k in range(g2.shape[0]):
                    for j in range(g2.shape[1]):
                        g2[k, j] += h[r, k] * z[r, j]
                for k in range(g1.shape[0]):
                    for j in range(g1.shape[1]):
                        g1[k, j] += x[r, k] * d[r, j]
            for r in range(x.shape[0]):
                for j in range(b2.shape[0]):
                    b2[j] -= rate * z[r, j]
                for j in range(b1.shape[0]):
                    b1[j] -= rate * d[r, j]
            for k in range(w2.shape[0]):
                for j in range(w2.shape[1]):
                    w2[k, j] -= rate * g2[k, j]
            for k in range(w1.shape[0]):
                for j in range(w1.shape[1]):
                    w1[k, j] -= rate * g1[k, j]
        return loss / np.float32(x.shape[0])

    @numba.njit(cache=True, error_model="numpy")
    def relu(h, b):  # type: ignore[no-untyped-def]
        for i in range(h.shape[0]):
            for j in range(h.shape[1]):
                h[i, j] = max(h[i, j] + b[j], np.float32(0))

    @numba.njit(cache=True, error_model="numpy")
    def gate(d, h):  # type: ignore[no-untyped-def]
        for i in range(h.shape[0]):
            for j in range(h.shape[1]):
                d[i, j] = d[i, j] if h[i, j] > 0 else np.float32(0)

    @numba.njit(cache=True, error_model="numpy")
    def update(w, g, b, d, rate):  # type: ignore[no-untyped-def]
        for k in range(w.shape[0]):
            for j in range(w.shape[1]):
                w[k, j] -= rate * g[k, j]
        for r in range(d.shape[0]):
            for j in range(b.shape[0]):
                b[j] -= rate * d[r, j]

    @numba.njit(cache=True, error_model="numpy")
    def products(count, rate, x, t, w1, b1, w2, b2, w3, b3):  # type: ignore[no-untyped-def]
        loss = np.float32(0)
        for _ in range(count):
            h1 = np.dot(x, w1)
            relu(h1, b1)
            h2 = np.dot(h1, w2)
            relu(h2, b2)
            z = np.dot(h2, w3)
            loss = np.float32(0)
            for i in range(z.shape[0]):
                top = np.float32(-np.inf)
                for j in range(z.shape[1]):
                    z[i, j] += b3[j]
                    top = max(top, z[i, j])
                at = z[i, t[i]]
                total = np.float32(0)
                for j in range(z.shape[1]):
                    z[i, j] = np.exp(z[i, j] - top)
                    total += z[i, j]
                loss += np.log(total) + top - at
                for j in range(z.shape[1]):
                    z[i, j] /= total * np.float32(z.shape[0])
                z[i, t[i]] -= np.float32(1) / np.float32(z.shape[0])
            d2 = np.dot(z, w3.T)
            gate(d2, h2)
            update(w3, np.dot(h2.T, z), b3, z, rate)
            d1 = np.dot(d2, w2.T)
            gate(d1, h1)
            update(w2, np.dot(h1.T, d2), b2, d2, rate)
            update(w1, np.dot(x.T, d1), b1, d1, rate)
        return loss / np.float32(x.shape[0])

    x, target, flat = start_values(workload)
    rate = np.float32(workload.lr)
    if big:
        return lambda: products(10, rate, x, target, *flat)
    work = [np.empty((n, size), np.float32) for size in (*workload.sizes[1:], workload.sizes[1])]
    work += [np.empty_like(flat[2 * place]) for place in range(last + 1)]
    return lambda: loops(10, rate, x, target, *flat, *work)


WAYS = {"C": through_c, "Numba": through_numba}


def first_call(way: str, place: int) -> dict[str, float]:
    """In a fresh interpreter: seconds to import what the way needs, and to have done the first ten steps."""
    begin = time.perf_counter()
    if way == "Numba":
        __import__("numba")
    else:
        __import__("tinygrad_mlp.program.native.cache")
    imported = time.perf_counter()
    WAYS[way](WORKLOADS[place])()
    return {"import": imported - begin, "first": time.perf_counter() - imported}


def installed_megabytes(*names: str) -> float:
    total = 0
    for name in names:
        for file in importlib.metadata.files(name) or []:
            path = Path(str(file.locate()))
            total += path.stat().st_size if path.exists() else 0
    return total / 1e6


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(first_call(sys.argv[1], int(sys.argv[2]))))
        return
    ways = ["C"] + ["Numba"] * has("numba")
    for place, workload in ((1, SPIRAL), (3, FASHION)):
        contenders: dict[str, Any] = {}
        numpy_step = plain_numpy.make_step(workload)
        contenders["NumPy"] = lambda step=numpy_step: [step() for _ in range(10)]
        for way in ways:
            contenders[way] = WAYS[way](workload)
        seconds = take_turns(contenders, Settings(rounds=15, threads=2))
        for name, values in seconds.items():
            least, median = 1e5 * min(values), 1e5 * float(np.median(values))
            print(f"{workload.name:28} {name:6} {least:9.1f} us a step (least), {median:9.1f} median")
        for way in ways:
            with tempfile.TemporaryDirectory() as folder:
                env = {**os.environ, "NUMBA_CACHE_DIR": folder, "TINYGRAD_MLP_NATIVE_CACHE": folder}
                for state in ("cold", "warm"):
                    done = subprocess.run(  # noqa: S603 - this script itself
                        [sys.executable, str(HERE), way, str(place)],
                        env=env,
                        capture_output=True,
                        text=True,
                        check=True,
                    )
                    told = json.loads(done.stdout.splitlines()[-1])
                    print(f"{'':28} {way:6} {state}: import {told['import']:.3f} s, first call {told['first']:.3f} s")
    if "Numba" in ways:
        print(f"installed: numba and llvmlite {installed_megabytes('numba', 'llvmlite'):.0f} MB; C: nothing")


if __name__ == "__main__":
    main()
