"""Hands what happened to the loggers, and draws the figures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from stemcore.assemble.parts import Term
from stemcore.component.callback import Callback, State
from stemcore.component.logger import Logger

log = logging.getLogger("stemcore")
Collect = Callable[[Term], dict[str, Any]]


class Record(Callback):
    """Logs an epoch's scalars at its end, and draws figures when they are due and after the last epoch.

    Args:
        loggers: where scalars go.
        figures: what to draw.
        collect: gathers what a figure names.
        draws: whether this process draws; one that does not takes part in gathering only.
    """

    order: ClassVar[int] = 80

    def __init__(
        self, loggers: Sequence[Logger], figures: Sequence[Term], collect: Collect, draws: bool = True
    ) -> None:
        self.draws = draws
        self.loggers = list(loggers)
        self.figures = list(figures)
        self.collect = collect
        self._drawn: dict[str, int] = {}

    def scalars(self, values: dict[str, float], state: State) -> None:
        """Logs scalars at the current step."""
        for logger in self.loggers:
            logger.log(values, step=state.step, epoch=state.epoch)

    def on_epoch_end(self, state: State) -> None:
        """Logs the epoch and draws what is due."""
        values = {n: v for n, v in state.metrics.items() if n not in ("epoch", "step")}
        self.scalars(values, state)
        log.info("epoch %d, step %d: %s", state.epoch, state.step, ", ".join(f"{n} {v:.6g}" for n, v in values.items()))
        for term in self.figures:
            if term.every and state.epoch % term.every == 0:
                self._draw(term, state)

    def on_fit_end(self, state: State) -> None:
        """Draws every figure of the finished model."""
        for term in self.figures:
            if self._drawn.get(term.name) != state.epoch:
                self._draw(term, state)

    def _draw(self, term: Term, state: State) -> None:
        """A figure that fails costs a warning, not the run."""
        try:
            given = {"history": state.history} if term.component.source == "history" else self.collect(term)
            self._drawn[term.name] = state.epoch  # in all processes, whatever becomes of the drawing
            if not self.draws:
                return
            drawing = term.component.draw(**given)
            state.show(term.name, drawing, numbered=term.component.source != "history")
        except Exception as error:
            log.warning("figure '%s' could not be drawn: %s: %s", term.name, type(error).__name__, error)
            log.debug("", exc_info=True)
