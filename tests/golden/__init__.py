"""Exact outputs of a small network on a small accelerator.

After an intended change, ``python -m tests.golden`` writes them anew; read the difference before you commit it.
"""
