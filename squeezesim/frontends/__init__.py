"""Readers of models: each turns one kind of model into a Network."""
