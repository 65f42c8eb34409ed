"""Benchmarks of the real server process: `python -m benchmarks`."""
