"""Runs that components are given: a parameter of type ``Run`` names one in a recipe."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from stemcore.errors import UserError


class Address(BaseModel):
    """How a resolved recipe writes a run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    path: str = Field(min_length=1, description="a run directory, or one of its checkpoints")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="of the checkpoint; null: whatever is there")


class RunReference(ABC):
    """A run by its place, and by the hash of the checkpoint where that is known. Nothing is read before it is used.

    Args:
        given: a run directory or a checkpoint.
        expected: SHA-256 of the checkpoint, ``None`` for whatever is there.
    """

    address: ClassVar[type[BaseModel]] = Address
    """What a mapping in a recipe is checked against."""

    def __init__(self, given: Path, expected: str | None = None) -> None:
        self.given, self.expected = given, expected

    @property
    @abstractmethod
    def sha256(self) -> str:
        """SHA-256 of the checkpoint, 64 hexadecimal digits. Raises ``UserError`` if there is none."""

    def verify(self) -> None:
        """Sees to it that the run is there, and from now on is the one that it is now.

        Raises:
            UserError: if there is no run or no checkpoint; if the checkpoint is another one than was named.
        """
        found = self.sha256
        if self.expected not in (None, found):
            message = (
                f"{self.given} has been trained on since, or is another run: the SHA-256 of its checkpoint begins with "
                f"{found[:12]}, not with {str(self.expected)[:12]}"
            )
            raise UserError(message, hint="name the run as it was, or leave out sha256 to take this one")
        self.expected = found

    def move(self, place: Path) -> None:
        """Goes by another place, if the run that is expected is there."""
        if self.expected is not None and type(self)(place)._known() == self.expected:
            self.given = place

    def document(self) -> dict[str, str]:
        """As a resolved recipe has it; without the hash where there is no run."""
        found = self._known()
        return {"path": str(self.given), **({"sha256": found} if found else {})}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunReference):
            return NotImplemented
        return self.given == other.given and self._known() == other._known()

    def __hash__(self) -> int:
        return hash(self.given)

    def _known(self) -> str | None:
        try:
            return self.expected or self.sha256
        except UserError:
            return None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        forms = core_schema.tagged_union_schema(
            {"a path": core_schema.str_schema(min_length=1), "a mapping": handler.generate_schema(Address)},
            discriminator=_form,
            custom_error_type="run",
            custom_error_message="should be the path of a run, or a mapping of its path and sha256",
        )
        written = core_schema.plain_serializer_function_ser_schema(_document)
        return core_schema.no_info_after_validator_function(cls._named, forms, serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        path = {"type": "string", "minLength": 1, "format": "run-path"}
        keys = handler(Address.__pydantic_core_schema__)["properties"]
        # Not as properties: of alternatives that have some, the language server offers those of the first one alone.
        exactly = {f"^{key}$": about for key, about in keys.items()}
        mapping = {"patternProperties": exactly, "additionalProperties": False, "required": ["path"]}
        return {"anyOf": [path, {"type": "object", **mapping}]}

    @classmethod
    def _named(cls, value: str | Address) -> RunReference:
        path, expected = (value, None) if isinstance(value, str) else (value.path, value.sha256)
        return cls(Path.cwd() / os.path.expanduser(path), expected)


def _form(value: Any) -> str | None:
    if isinstance(value, str):
        return "a path"
    return "a mapping" if isinstance(value, Mapping) else None


def _document(value: Any) -> Any:
    return value.document() if isinstance(value, RunReference) else value
