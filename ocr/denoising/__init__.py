"""Denoisers: collecting pairs, training."""
