"""Archives and an HTTP server on loopback for tests of downloads."""

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from companion.datasets.voc2012.downloads import Archive


@dataclass
class Server:
    """Serves `files` by name; `cuts` are the bytes after which the next answers break off, one answer each.

    `requests` collects (path, Range header); with `ranges` off the header is ignored, as by some servers.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def __enter__(self) -> "Server":
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/{name}"

    def archive(self, name: str, content: bytes | None = None, **changes: object) -> Archive:
        """Serve `content` under this name and describe it; `changes` replace what the description says."""
        if content is not None:
            self.files[name] = content
        return describe(name, self.files[name], **{"urls": (self.url(name),), **changes})

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.requests.append((request.path, asked))
        content = self.files.get(request.path.lstrip("/"))
        if content is None:
            request.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.ranges else 0
        if start >= len(content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        end = start + self.cuts.pop(0) if self.cuts else len(content)
        request.wfile.write(content[start:end])


def describe(name: str, content: bytes, **changes: object) -> Archive:
    facts = {"urls": (f"http://127.0.0.1:9/{name}",), "md5": hashlib.md5(content).hexdigest(), "size": len(content)}
    return Archive(filename=name, **{**facts, **changes})


def pack(files: Mapping[str, bytes | str] | Path, *special: tarfile.TarInfo, mode: str = "w") -> bytes:
    """A tar archive of names and contents, or of all that a folder holds, and of `special` members after them."""
    if isinstance(files, Path):
        files = {str(p.relative_to(files)): p.read_bytes() for p in sorted(files.rglob("*")) if p.is_file()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in special:
            tar.addfile(member)
    return buffer.getvalue()
