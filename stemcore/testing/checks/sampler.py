"""What a sampler promises."""
