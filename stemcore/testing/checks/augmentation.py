"""What a augmentation promises."""
