"""advise: changes to the network or the accelerator that save time, each simulated."""
