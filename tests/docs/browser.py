"""A headless Chromium, driven over two pipes: what a page asks for, says on its console, and looks like.

Source: the Chrome DevTools Protocol, domains Page, Network, Runtime, Log, DOM, Input and Emulation;
`--remote-debugging-pipe`.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--headless=new", "--remote-debugging-pipe", "--hide-scrollbars", "--no-first-run"),
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),  # it runs as root, in a container
)
_PIPES = 'exec "$@" 3<&{} 4>&{}'
"""Chromium reads messages from descriptor 3 and writes them to 4. Only bash copies from descriptors above 9."""


class Browser:
    """One page of one Chromium.

    requested: the URL of each request of the page so far.  complaints: each exception, and each error on its console.
    """

    def __init__(self, asks: int, answers: int) -> None:
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self._asks, self._answers, self._read = asks, answers, [b""]
        self._sent, self._session, self._loaded = 0, "", False
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._ask(f"{domain}.enable")

    @classmethod
    @contextmanager
    def start(cls, program: str) -> Iterator[Self]:
        """Run `program`; it and its profile are gone afterwards."""
        (theirs, asks), (answers, others) = os.pipe(), os.pipe()
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
            subprocess.Popen(
                ("bash", "-c", _PIPES.format(theirs, others), "bash", program, *_FLAGS, f"--user-data-dir={profile}"),
                pass_fds=(theirs, others),
                stderr=subprocess.DEVNULL,
            ) as process,
        ):
            os.close(theirs)
            os.close(others)
            try:
                yield cls(asks, answers)
            finally:
                process.terminate()
                os.close(asks)
                os.close(answers)

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Show pages as on a screen of `width` by `height` CSS pixels."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def dark(self, dark: bool) -> None:
        """Tell pages that the reader prefers dark colours, or light ones."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def remember(self, url: str, name: str, value: str) -> None:
        """Have it send that cookie to the server of `url`."""
        self._ask("Network.setCookie", url=url, name=name, value=value, httpOnly=True)

    def open(self, url: str) -> None:
        """Go to `url` and wait until it is loaded."""
        self._loaded = False
        self._ask("Page.navigate", url=url)
        while not self._loaded:
            self._take()

    def value(self, expression: str) -> Any:
        """What `expression` of JavaScript comes to; of a promise, what it resolves to."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files of the disk in the field that `selector` finds."""
        root = self._ask("DOM.getDocument")["root"]["nodeId"]
        node = self._ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._ask("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def press(self, key: str) -> None:
        """Press a key, and let it go: `Tab`, `Enter`."""
        told = {"key": key, "code": key, "windowsVirtualKeyCode": {"Tab": 9, "Enter": 13}[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self._ask("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **told)

    def screenshot(self, height: int) -> bytes:
        """The page from its top, at most `height` CSS pixels of it, as PNG."""
        width, whole = self.value("[innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": min(whole, height), "scale": 1}
        answer = self._ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(answer["data"])

    def forget(self) -> None:
        """Forget what was requested, and what was complained of, so far."""
        self.requested.clear()
        self.complaints.clear()

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._sent += 1
        number = self._sent
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._asks, json.dumps(message).encode() + b"\0")
        while (answer := self._take()).get("id") != number:
            pass
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _take(self) -> dict[str, Any]:
        """The next message; what it tells of the page is kept."""
        while b"\0" not in self._read[-1]:
            self._read.append(os.read(self._answers, 1 << 16))
            assert self._read[-1], "Chromium has ended"
        end, _, rest = self._read[-1].partition(b"\0")
        message: dict[str, Any] = json.loads(b"".join((*self._read[:-1], end)))
        self._read = [rest]
        match message:
            case {"method": "Page.loadEventFired"}:
                self._loaded = True
            case {"method": "Network.requestWillBeSent", "params": {"request": {"url": url}}}:
                self.requested.append(url)
            case {"method": "Runtime.exceptionThrown", "params": {"exceptionDetails": details}}:
                self.complaints.append(json.dumps(details))
            case {"method": "Runtime.consoleAPICalled", "params": {"type": "error", "args": words}}:
                self.complaints.append(json.dumps(words))
            case {"method": "Log.entryAdded", "params": {"entry": {"level": "error"} as entry}}:
                self.complaints.append(json.dumps(entry))
        return message
