"""What a transform promises."""
