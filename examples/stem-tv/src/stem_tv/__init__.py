"""Total variation for stemcore."""
