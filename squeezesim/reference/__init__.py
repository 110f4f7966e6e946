"""Simulators that share no formula with the cost model, and the checks that hold one to the other."""
