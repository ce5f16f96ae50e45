"""What a model promises."""
