"""Base classes of each kind of component: what a plugin author reads."""
