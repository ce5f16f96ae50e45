"""Diffusion models on latents and pixels, the latent store, and sampling."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_datasets() -> dict[str, str]:
    """Where items come from."""
    return {"latents": "stem_diffusion.latents:Latents"}


@hookimpl
def stem_models() -> dict[str, str]:
    """Networks."""
    return {
        "diffusion_controlnet": "stem_diffusion.controlnet:DiffusionControlnet",
        "diffusion_mlp": "stem_diffusion.mlp:DiffusionMlp",
        "diffusion_unet": "stem_diffusion.unet:DiffusionUnet",
    }


@hookimpl
def stem_losses() -> dict[str, str]:
    """What is minimised."""
    return {"denoising": "stem_diffusion.denoising:Denoising"}


@hookimpl
def stem_metrics() -> dict[str, str]:
    """Scores."""
    return {}


@hookimpl
def stem_callbacks() -> dict[str, str]:
    """What follows a training."""
    return {"samples": "stem_diffusion.samples:Samples"}


@hookimpl
def stem_commands() -> dict[str, str]:
    """Verbs of the command line."""
    return {
        "embed": "stem_diffusion.embed_command:embed",
        "sample": "stem_diffusion.sample_command:sample",
    }


@hookimpl
def stem_figures() -> dict[str, str]:
    """Pictures of a run."""
    return {}


@hookimpl
def stem_recipes() -> dict[str, str]:
    """Recipes to begin with."""
    names = ("controlnet", "image-ladder", "latent-diffusion", "pixel-diffusion")
    return {name: f"stem_diffusion:recipes/{name}.yaml" for name in names}


@hookimpl
def stem_options() -> dict[str, str]:
    """Sections of recipes under a name."""
    return {}


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know."""
    return {
        "callback/samples": "stem_diffusion.examples:samples",
        "command/embed": "stem_diffusion.store_examples:embed",
        "command/sample": "stem_diffusion.examples:sample",
        "dataset/latents": "stem_diffusion.store_examples:latents",
        "loss/denoising": "stem_diffusion.examples:denoising",
        "model/diffusion_controlnet": "stem_diffusion.examples:diffusion_controlnet",
        "model/diffusion_mlp": "stem_diffusion.examples:diffusion_mlp",
        "model/diffusion_unet": "stem_diffusion.examples:diffusion_unet",
        "recipe/controlnet": "stem_diffusion.examples:controlnet",
        "recipe/image-ladder": "stem_diffusion.examples:image_ladder",
        "recipe/latent-diffusion": "stem_diffusion.examples:latent_diffusion",
        "recipe/pixel-diffusion": "stem_diffusion.examples:pixel_diffusion",
    }
