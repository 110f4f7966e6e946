"""Compressed networks: passes that prune, quantise and factorise layers. Pure; a network in, a network out."""
