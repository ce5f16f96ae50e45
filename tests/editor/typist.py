"""Somebody who writes a recipe in an editor, choosing from what it offers."""

from __future__ import annotations

import re

from tests.editor.language_server import LanguageServer


class Typist:
    """A text and the place where it is being written: its end, but for brackets that the editor has closed already.

    Args:
        server: what completes it.
        text: what stands there at first.
    """

    def __init__(self, server: LanguageServer, text: str = "") -> None:
        self.server, self.text = server, text
        self.uri = server.open(self.whole)

    @property
    def whole(self) -> str:
        """The text with the braces that the editor has closed."""
        return self.text + "}" * (self.text.count("{") - self.text.count("}"))

    def write(self, text: str) -> None:
        """Types a text."""
        self.text += text
        self.server.change(self.uri, self.whole)

    def offers(self) -> dict[str, str]:
        """What is offered at the end: labels, and the texts that would be put there."""
        lines = self.text.split("\n")
        found = self.server.complete(self.uri, len(lines) - 1, len(lines[-1]))
        return {label: item["textEdit"]["newText"] for label, item in found.items()}

    def choose(self, label: str, value: str | None = None) -> None:
        """Takes what is offered under a label, with its defaults or, in place of the first one, a value."""
        lines = self.text.split("\n")
        found = self.server.complete(self.uri, len(lines) - 1, len(lines[-1]))
        assert label in found, (label, sorted(found))
        edit = found[label]["textEdit"]
        start = edit["range"]["start"]
        assert start["line"] == len(lines) - 1
        indent = lines[-1][: len(lines[-1]) - len(lines[-1].lstrip(" "))]
        self.text = "\n".join([*lines[:-1], lines[-1][: start["character"]]])
        # An editor indents the lines of what it puts in as the first one is.
        self.write(filled(edit["newText"], value).replace("\n", f"\n{indent}"))


def filled(snippet: str, value: str | None = None) -> str:
    """A snippet's text: of each place to fill in, the default or the first choice."""
    default = re.compile(r"\$\{\d+:([^}]*)\}|\$\{\d+\|([^,|]*)[^}]*\}|\$\{?\d+\}?")
    if value is not None:
        snippet = default.sub(lambda _: value, snippet, count=1)
    return default.sub(lambda found: found[1] or found[2] or "", snippet)
