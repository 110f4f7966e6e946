"""What runs: layers, networks and the passes that turn one network into another. Imports no torch."""

from squeezesim.network.layer import Layer
from squeezesim.network.network import Network, Unmodelled

__all__ = ["Layer", "Network", "Unmodelled"]
