"""Discovery of plugins, the catalogue of their components, and the schema that a signature is."""

from stemcore.plugins.catalogue import Catalogue, Entry, catalogue
from stemcore.plugins.discovery import Trouble

__all__ = ["Catalogue", "Entry", "Trouble", "catalogue"]
