"""Accelerators that people have, each beside what was measured on it: an entry for each, one check for all."""
