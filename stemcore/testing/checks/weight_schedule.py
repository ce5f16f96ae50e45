"""What a weight_schedule promises."""
