"""What exists for one paper: its networks, its machine, its printed figures as data, ours beside them."""
