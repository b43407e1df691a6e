"""Figures that `asv` follows over the commits; see docs/benchmarks.md."""
