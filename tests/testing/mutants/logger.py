"""Broken in one way each."""

from __future__ import annotations

SOUND = []
MUTANTS = []
