"""The recipes that come with stemcore."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_recipes() -> dict[str, str]:
    """Autoencoders of 4D-STEM scans."""
    names = ("stem4d", "stem4d-guide", "stem4d-vae", "stem4d-denoise", "stem4d-quick")
    return {name: f"stem_recipes:recipes/{name}.yaml" for name in names}
