"""What a logger promises."""
