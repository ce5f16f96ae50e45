"""What a scheduler promises."""
