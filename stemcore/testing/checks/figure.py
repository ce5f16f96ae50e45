"""What a figure promises."""
