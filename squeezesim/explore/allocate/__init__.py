"""allocate: the ways to spread a network's blocks over its stages, each costed as a sum over its blocks."""
