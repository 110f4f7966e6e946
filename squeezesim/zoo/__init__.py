"""Built-in networks as plain modules, a file for each family, with their published facts and traced graphs."""
