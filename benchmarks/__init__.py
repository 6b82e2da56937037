"""Benchmarks: every figure stands beside a named baseline of the same run. `python -m benchmarks` prints them all."""
