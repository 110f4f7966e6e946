"""Built-in networks: plain modules, a file for each family, with published facts and traced graphs."""
