"""Writes a plugin to begin with, from templates."""

from stemcore.scaffold.writing import new_plugin

__all__ = ["new_plugin"]
