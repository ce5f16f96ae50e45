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
        "joint_vae": "stem_paired.joint_vae:JointVae",
        "res_unet": "stem_paired.res_unet:ResUnet",
        "generative_vae": "stem_paired.generative_vae:GenerativeVae",
    }


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
        "model/joint_vae": "stem_paired.examples:joint_vae",
        "model/res_unet": "stem_paired.examples:res_unet",
        "model/generative_vae": "stem_paired.examples:generative_vae",
    }
