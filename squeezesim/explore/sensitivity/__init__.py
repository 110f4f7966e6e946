"""How much each parameter of an accelerator matters to a network."""
