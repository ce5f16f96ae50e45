"""The trainer's own callbacks."""
