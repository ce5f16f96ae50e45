"""Images: data, autoencoders, losses, metrics and figures."""
