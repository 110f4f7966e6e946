"""What runs: layers, networks and the passes that turn one network into another. Imports no torch."""

from squeezesim.network.graph import Network, Unmodelled
from squeezesim.network.layer import Layer

__all__ = ["Layer", "Network", "Unmodelled"]
