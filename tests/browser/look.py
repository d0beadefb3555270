"""Opens HTML files in headless Chromium as a reader would and reports what is broken.

`python tests/browser/look.py [--screenshots FOLDER] FILE...` opens every file at desk and phone width, light and dark,
with the network cut off, and fails if a request would leave the machine, an image is broken or has no alternative
text, the page scrolls sideways, or its scripts report an error.

It speaks the DevTools protocol over Chromium's debugging pipe, so it needs nothing but Chromium itself.
"""

import argparse
import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDTHS = {"desk": 1280, "phone": 390}
THEMES = ("light", "dark")
LOCAL = ("file:", "data:", "about:", "blob:", "chrome:")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
PROBE = """(() => {
  const images = [...document.images];
  const visible = (e) => e.getClientRects().length > 0;
  return {
    title: document.title,
    lang: document.documentElement.lang,
    width: innerWidth,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    broken: images.filter((i) => !(i.complete && i.naturalWidth)).map((i) => i.alt || i.src.slice(0, 80)),
    unnamed: images.filter((i) => !i.alt.trim()).length,
    formulas: [...document.querySelectorAll("math")].filter(visible).filter((m) => !m.getBoundingClientRect().width)
      .length,
    unconverted: (document.querySelector("main") || document.body).innerText
      .match(/\\$\\$|\\\\(frac|sum|lambda)/g) || [],
    tall: Math.ceil(document.documentElement.getBoundingClientRect().height),
  };
})()"""


class Browser:
    """One headless Chromium with one page."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = os.fdopen(send, "wb", 0), os.fdopen(receive, "rb")
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that arrive meanwhile are kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._send.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url: str, width: int, theme: str) -> dict[str, Any]:
        """Load a page at a width and theme; returns what the probe found, with the page's requests and errors."""
        self.events.clear()
        scale = 1 if width > 600 else 2
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=scale, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", media="screen", features=features)
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())
        found = self.call("Runtime.evaluate", expression=PROBE, returnByValue=True)["result"]["value"]
        found["wider"] = found["width"] - width
        time.sleep(0.2)  # for requests that a script would start after loading
        self.call("Runtime.evaluate", expression="1")
        found["requests"] = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        found["errors"] = [text for event in self.events if (text := _error(event))]
        return found

    def screenshot(self, path: Path, width: int, height: int) -> None:
        """The whole page as PNG."""
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 16000), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _read(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._receive.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("Chromium ended unexpectedly")
            message += byte
        return json.loads(message)


def _error(event: dict[str, Any]) -> str:
    """The text of an error that the page reported, empty for any other event."""
    if event.get("method") == "Runtime.exceptionThrown":
        return event["params"]["exceptionDetails"]["text"]
    entry = event.get("params", {}).get("entry", {}) if event.get("method") == "Log.entryAdded" else {}
    return entry["text"] if entry.get("level") == "error" else ""


def _above_four(descriptor: int) -> int:
    """The same pipe under a number that does not collide with 3 and 4, which Chromium uses."""
    higher = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return higher


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium whose name resolution is cut off."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("look.py needs Chromium (Debian and Ubuntu: apt install chromium)")
    to_browser, from_us = map(_above_four, os.pipe())
    to_us, from_browser = map(_above_four, os.pipe())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [*FLAGS, f"--user-data-dir={profile}"]
        # Chromium reads commands from descriptor 3 and answers on 4.
        script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        process = subprocess.Popen(
            ["bash", "-c", script, program, *flags],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield Browser(from_us, to_us)
        finally:
            process.terminate()
            process.wait()


def problems(found: dict[str, Any]) -> list[str]:
    """What is wrong with a page, in words."""
    remote = [url for url in found["requests"] if not url.startswith(LOCAL)]
    checks = [
        (remote, f"requests that leave the machine: {remote}"),
        (found["broken"], f"broken images: {found['broken']}"),
        (found["unnamed"], f"{found['unnamed']} images without alternative text"),
        (found["overflow"] > 0, f"the page scrolls sideways by {found['overflow']} px"),
        (found["wider"] > 0, f"laid out {found['wider']} px wider than the screen: no viewport, or content too wide"),
        (found["formulas"], f"{found['formulas']} formulas without extent"),
        (found["unconverted"], f"formulas left as LaTeX: {found['unconverted'][:3]}"),
        (found["errors"], f"errors in the page: {found['errors']}"),
        (not found["title"] or not found["lang"], "no title or no language"),
    ]
    return [text for wrong, text in checks if wrong]


def main() -> int:
    """Look at every file in every width and theme; returns the exit status."""
    parser = argparse.ArgumentParser(description="Open HTML files in headless Chromium and report what is broken.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--screenshots", type=Path, help="folder for one PNG per file, width and theme")
    options = parser.parse_args()
    bad = 0
    with chromium() as browser:
        for file, (device, width), theme in itertools.product(options.files, WIDTHS.items(), THEMES):
            found = browser.open(file.resolve().as_uri(), width, theme)
            wrong = problems(found)
            bad += bool(wrong)
            print(f"{'FAIL' if wrong else 'ok  '} {file} {device} {theme}", *wrong, sep="\n       " if wrong else " ")
            if options.screenshots:
                options.screenshots.mkdir(parents=True, exist_ok=True)
                name = f"{file.parent.name}-{file.stem}-{device}-{theme}.png"
                browser.screenshot(options.screenshots / name, width, found["tall"])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
