"""Diffusion models on latents and pixels, the latent store, and sampling."""
