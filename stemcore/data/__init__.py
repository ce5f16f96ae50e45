"""Blocks, splits, shuffling, reading and transforms."""
