"""Benchmarks: one table of what was measured, beside raw SQLite and other queues.

``python tests/benchmarks/run.py --help`` says how to run them.  Figures are for this
machine and this moment: compare the ratios.
"""
