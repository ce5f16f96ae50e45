"""Paired platforms: joint variational autoencoders that impute one from the other."""

from __future__ import annotations

from stemcore import hookimpl


@hookimpl
def stem_datasets() -> dict[str, str]:
    """Tables of two platforms."""
    return {"paired_tables": "stem_paired.paired_tables:PairedTables"}


@hookimpl
def stem_models() -> dict[str, str]:
    """Models of two platforms."""
    return {
        "generative_vae": "stem_paired.generative_vae:GenerativeVae",
        "joint_iwae": "stem_paired.joint_iwae:JointIwae",
        "joint_mm": "stem_paired.joint_mm:JointMm",
        "joint_vae": "stem_paired.joint_vae:JointVae",
        "joint_vae_plus": "stem_paired.joint_vae_plus:JointVaePlus",
        "joint_vae_vampprior": "stem_paired.joint_vae_vampprior:JointVaeVampPrior",
        "joint_vq": "stem_paired.joint_vq:JointVq",
        "res_unet": "stem_paired.res_unet:ResUnet",
    }


@hookimpl
def stem_recipes() -> dict[str, str]:
    """One for each model, and the original's settings."""
    names = (
        *("joint-vae", "joint-vae-original", "joint-vae-plus", "joint-vae-vampprior", "joint-iwae", "joint-vq"),
        *("joint-mm", "res-unet", "generative-vae", "generative-vae-gan"),
    )
    return {name: f"stem_paired:recipes/{name}.yaml" for name in names}


@hookimpl
def stem_commands() -> dict[str, str]:
    """Verbs for runs of paired models."""
    return {
        "compare": "stem_paired.compare_command:compare",
        "impute": "stem_paired.impute_command:impute",
    }


@hookimpl
def stem_examples() -> dict[str, str]:
    """What the contract checks need to know."""
    return {
        "command/impute": "stem_paired.table_examples:impute",
        "dataset/paired_tables": "stem_paired.table_examples:paired_tables",
        **{f"recipe/{name}": "stem_paired.table_examples:recipe" for name in stem_recipes()},
        "model/generative_vae": "stem_paired.examples:generative_vae",
        "model/joint_iwae": "stem_paired.examples:joint_iwae",
        "model/joint_mm": "stem_paired.examples:joint_mm",
        "model/joint_vae": "stem_paired.examples:joint_vae",
        "model/joint_vae_plus": "stem_paired.examples:joint_vae_plus",
        "model/joint_vae_vampprior": "stem_paired.examples:joint_vae_vampprior",
        "model/joint_vq": "stem_paired.examples:joint_vq",
        "model/res_unet": "stem_paired.examples:res_unet",
    }
