"""Spectrum images for stemcore."""
