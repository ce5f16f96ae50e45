"""A small client of the language server protocol, for yaml-language-server over stdio.

Messages are JSON behind a ``Content-Length`` header. The server asks for its settings by ``workspace/configuration``
and is told where the schema is; positions are (line, character), both counted from 0.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

Json = dict[str, Any]
_CAPABILITIES: Json = {
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
        "hover": {"contentFormat": ["markdown"]},
        "publishDiagnostics": {},
    },
    "workspace": {"configuration": True},
}


class LanguageServer:
    """A running yaml-language-server.

    Args:
        program: its path.
        folder: the root of the workspace.
        schemas: the files it applies to, by the path of each schema.
    """

    def __init__(self, program: str, folder: Path, schemas: Mapping[Path, str]) -> None:
        self.folder, self.schemas = folder, {path.as_uri(): pattern for path, pattern in schemas.items()}
        self._process = subprocess.Popen(
            [program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
        )
        self._came: queue.Queue[Json] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._last, self._version = 0, 0
        self._diagnostics: dict[str, list[Json]] = {}
        self._has_settings = False
        root = {"uri": folder.as_uri(), "name": folder.name}
        self.request(
            "initialize",
            {"processId": None, "rootUri": root["uri"], "workspaceFolders": [root], "capabilities": _CAPABILITIES},
        )
        self.notify("initialized", {})
        self.notify("workspace/didChangeConfiguration", {"settings": None})
        while not self._has_settings:
            self._next()
        self.diagnostics("")  # It answers when it has taken the settings in.

    def __enter__(self) -> LanguageServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def open(self, text: str, name: str = "recipe.yaml") -> str:
        """Opens a file that need not be on disk, under a name of its own, and returns its address."""
        self._version += 1
        uri = (self.folder / f"{self._version}-{name}").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": self._version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return uri

    def change(self, uri: str, text: str) -> None:
        """Gives an open file another text."""
        self._version += 1
        changed = {"textDocument": {"uri": uri, "version": self._version}, "contentChanges": [{"text": text}]}
        self.notify("textDocument/didChange", changed)

    def diagnostics(self, text: str) -> list[tuple[int, str]]:
        """What is wrong in a text: lines, counted from 1, and messages, in the order of the lines."""
        uri = self.open(text)
        while uri not in self._diagnostics:
            self._next()
        return sorted((found["range"]["start"]["line"] + 1, found["message"]) for found in self._diagnostics.pop(uri))

    def complete(self, uri: str, line: int, character: int) -> dict[str, Json]:
        """What is offered at a place, by label."""
        result = self.request("textDocument/completion", _at(uri, line, character))
        items = result["items"] if isinstance(result, dict) else result or []
        return {item["label"]: item for item in items}

    def hover(self, uri: str, line: int, character: int) -> str:
        """What is shown at a place, in Markdown."""
        result = self.request("textDocument/hover", _at(uri, line, character))
        return str(result["contents"]["value"]) if result else ""

    def request(self, method: str, params: Json) -> Any:
        """Asks, and waits for the answer."""
        self._last += 1
        self._send({"id": self._last, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == self._last and "method" not in message:
                assert "error" not in message, message["error"]
                return message.get("result")

    def notify(self, method: str, params: Json) -> None:
        """Tells, without an answer."""
        self._send({"method": method, "params": params})

    def _next(self) -> Json:
        """The next message, answered where it is a question."""
        message = self._came.get(timeout=60)
        if "id" in message and "method" in message:
            self._send({"id": message["id"], "result": self._answer(message)})
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        return message

    def _answer(self, message: Json) -> Any:
        if message["method"] != "workspace/configuration":
            return None
        yaml = {"schemas": self.schemas, "schemaStore": {"enable": False}, "completion": True, "hover": True}
        self._has_settings = True
        settings = {"yaml": {**yaml, "validate": True}, "editor": {"tabSize": 2}}
        return [settings.get(item.get("section"), {}) for item in message["params"]["items"]]

    def _send(self, message: Json) -> None:
        assert self._process.stdin is not None
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
        self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := stream.readline():
            length = 0
            while header.strip():
                name, _, value = header.decode("ascii").partition(":")
                length = int(value) if name.lower() == "content-length" else length
                header = stream.readline()
            self._came.put(json.loads(stream.read(length)))


def _at(uri: str, line: int, character: int) -> Json:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
