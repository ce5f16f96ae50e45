"""Calls callbacks: bound once, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stemcore.component.callback import Callback, State

EVENTS = [name for name in vars(Callback) if name.startswith("on_")]


class Dispatch:
    """The callbacks of a run by name. An event costs nothing where nobody overrides its method."""

    def __init__(self, callbacks: Mapping[str, Callback]) -> None:
        self.callbacks = dict(callbacks)
        ordered = sorted(self.callbacks.values(), key=lambda c: c.order)
        self._bound: dict[str, list[Callable[[State], None]]] = {
            event: [getattr(c, event) for c in ordered if getattr(type(c), event) is not getattr(Callback, event)]
            for event in EVENTS
        }

    def __call__(self, event: str, state: State) -> None:
        """Calls ``event`` on everybody who listens to it."""
        for method in self._bound[event]:
            method(state)

    def state_dict(self) -> dict[str, Any]:
        """The state of every callback by name."""
        return {name: dict(c.state_dict()) for name, c in self.callbacks.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes the states back; a callback that was not there before starts afresh."""
        for name, mine in state.items():
            if name in self.callbacks:
                self.callbacks[name].load_state_dict(mine)
