"""What a optimizer promises."""
