"""Downloads from a server that breaks off, ignores ranges or lies, and archives that want out of their folder."""

import gzip
import shutil
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from archive_server import Server, describe, pack
from voc_folder import make_voc

from companion.datasets.voc2012.downloads import BLOCK, extract, fetch, verify
from thesislib.data.voc import DataError, find_root, read_ids

CONTENT = np.random.default_rng(0).bytes(3 * BLOCK + 1234)
CUT = BLOCK + 77


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        yield running


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ---- downloads


def test_whole_download(server, tmp_path, capsys):
    path = fetch(server.archive("a.tar", CONTENT), tmp_path, progress=True)
    assert path == tmp_path / "a.tar"
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["a.tar"]
    assert "a.tar: 100%" in capsys.readouterr().err


def test_connection_that_breaks_is_taken_up_again(server, tmp_path):
    archive = server.archive("a.tar", CONTENT)
    server.cuts = [CUT, 5, BLOCK]
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    starts = [CUT, CUT + 5, CUT + 5 + BLOCK]
    assert server.requests == [("/a.tar", None)] + [("/a.tar", f"bytes={start}-") for start in starts]


def test_next_command_goes_on_where_the_last_one_stopped(server, tmp_path):
    archive = server.archive("a.tar", CONTENT)
    server.cuts = [CUT, 0]
    with pytest.raises(DataError, match=r"the connection broke\n.*kept in .*a\.tar\.part; the same command goes on"):
        fetch(archive, tmp_path)
    assert (tmp_path / "a.tar.part").read_bytes() == CONTENT[:CUT]
    server.requests.clear()
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert server.requests == [("/a.tar", f"bytes={CUT}-")]


def test_server_that_knows_no_ranges_starts_anew(server, tmp_path):
    archive = server.archive("a.tar", CONTENT)
    server.ranges = False
    (tmp_path / "a.tar.part").write_bytes(b"x" * CUT)
    assert fetch(archive, tmp_path).read_bytes() == CONTENT


def test_server_that_knows_no_ranges_and_always_breaks_is_given_up(server, tmp_path):
    archive = server.archive("a.tar", CONTENT)
    server.ranges = False
    server.cuts = [CUT] * 100
    with pytest.raises(DataError, match="the connection broke"):
        fetch(archive, tmp_path)
    assert len(server.requests) == 2


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more"])
def test_part_that_is_whole_or_too_long(server, tmp_path, part):
    (tmp_path / "a.tar.part").write_bytes(part)
    assert fetch(server.archive("a.tar", CONTENT), tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == (1 if part == CONTENT else 2)


def test_wrong_checksum_leaves_nothing(server, tmp_path):
    archive = server.archive("a.tar", CONTENT, md5="0" * 32)
    found = describe("a.tar", CONTENT).md5
    with pytest.raises(DataError, match=rf"MD5 {found}, expected 0{{32}}; deleted") as caught:
        fetch(archive, tmp_path)
    assert "kept" not in str(caught.value)
    assert names(tmp_path) == []


def test_other_addresses_are_tried(server, tmp_path):
    server.archive("wrong.tar", b"something else")
    urls = tuple(server.url(name) for name in ("lost.tar", "wrong.tar", "a.tar"))
    assert fetch(server.archive("a.tar", CONTENT, urls=urls), tmp_path).read_bytes() == CONTENT


def test_missing_file_and_no_network(server, tmp_path):
    urls = (server.url("lost.tar"), "http://127.0.0.1:9/a.tar", "http://no-such-host.invalid/a.tar")
    with pytest.raises(DataError) as caught:
        fetch(server.archive("a.tar", CONTENT, urls=urls), tmp_path)
    first, *reasons, advice = str(caught.value).splitlines()
    assert first == "cannot download a.tar:"
    assert [reason.split(": ")[0] for reason in reasons] == [f"- {url}" for url in urls]
    assert reasons[0].endswith("HTTP 404 Not Found")
    assert all("no answer" in reason and "is there a network" in reason for reason in reasons[1:])
    assert f"put it into {tmp_path}" in advice
    assert describe("a.tar", CONTENT).md5 in advice


def test_python_that_cannot_extract_safely_is_told_before_the_first_byte(server, tmp_path, monkeypatch):
    archive = server.archive("a.tar", pack({"a/b": "b"}))
    (tmp_path / "b.tar").write_bytes(pack({"a/b": "b"}))
    monkeypatch.delattr(tarfile, "data_filter")
    for attempt in (lambda: fetch(archive, tmp_path), lambda: extract(tmp_path / "b.tar", tmp_path)):
        with pytest.raises(DataError, match=r"no data_filter\): use Python 3\.11\.4 or newer"):
            attempt()
    assert server.requests == [] and names(tmp_path) == ["b.tar"]


def test_full_disk_is_noticed_before_the_first_byte(server, tmp_path, monkeypatch):
    archive = server.archive("a.tar", CONTENT)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2 * len(CONTENT) - 1))
    with pytest.raises(DataError, match=r"has 6\.3 MB free, but a\.tar and what is extracted from it needs 6\.3 MB"):
        fetch(archive, tmp_path)
    assert server.requests == []
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2 * len(CONTENT)))
    fetch(archive, tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_disk_that_fills_up_in_the_middle(server, tmp_path):
    (tmp_path / "a.tar.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"cannot write .*a\.tar\.part: No space left on device\. Make room"):
        fetch(server.archive("a.tar", CONTENT), tmp_path)
    assert len(server.requests) == 1


def test_verify(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=rf"incomplete \({len(CONTENT) - 1} of {len(CONTENT)} bytes\).*Delete it"):
        verify(path, describe("a.tar", CONTENT))
    path.write_bytes(CONTENT)
    verify(path, describe("a.tar", CONTENT))


# ---- extraction


def special(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_extraction_takes_what_is_wanted_beside_what_is_there(tmp_path, mode):
    files = {"top/a.txt": "a", "./top/deep/b.bin": b"b" * 100_000, "top/c.jpg": "c"}
    path = tmp_path / "some.tar"
    path.write_bytes(pack(files, special("top/empty", tarfile.DIRTYPE), mode=mode))
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "mine").write_text("mine")
    assert extract(path, tmp_path, lambda name: not name.endswith(".jpg"), progress=True) == 2
    assert names(tmp_path) == ["some.tar", "top", "top/a.txt", "top/deep", "top/deep/b.bin", "top/mine"]
    assert (tmp_path / "top/deep/b.bin").read_bytes() == b"b" * 100_000


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        (special("../outside"), "a file"),
        (special("good/../../outside"), "a file"),
        (special("/tmp/outside"), "a file"),
        (special("..", tarfile.DIRTYPE), "a folder"),
        (special("good/link", tarfile.SYMTYPE, "../.."), "a link"),
        (special("good/link", tarfile.SYMTYPE, "/etc/passwd"), "a link"),
        (special("good/link", tarfile.LNKTYPE, "../outside"), "a link"),
        (special("good/pipe", tarfile.FIFOTYPE), "a link or device"),
    ],
)
def test_hostile_archives_write_nothing(tmp_path, member, kind):
    folder = tmp_path / "deep" / "root"
    folder.mkdir(parents=True)
    path = folder / "bad.tar"
    path.write_bytes(pack({"good/a": "a"}, member))
    with pytest.raises(DataError, match=rf"{member.name}' is {kind}.*Nothing was extracted"):
        extract(path, folder)
    assert names(tmp_path) == ["deep", "deep/root", "deep/root/bad.tar"]


def test_link_followed_by_a_file_through_it(tmp_path):
    path = tmp_path / "root" / "bad.tar"
    path.parent.mkdir()
    path.write_bytes(pack({}, special("x", tarfile.SYMTYPE, str(tmp_path)), special("x/outside")))
    with pytest.raises(DataError, match="'x' is a link"):
        extract(path, path.parent)
    assert names(tmp_path) == ["root", "root/bad.tar"]


@pytest.mark.parametrize("damage", ["cut", "cut gz", "text", "empty"])
def test_damaged_archives_write_nothing(tmp_path, damage):
    whole = pack({f"a/{i}.jpg": CONTENT[i : i + 50_000] for i in range(4)})
    content = {
        "cut": whole[:120_000],
        "cut gz": gzip.compress(whole)[:120_000],
        "text": b"<html>please log in</html>" * 99,
        "empty": b"",
    }[damage]
    path = tmp_path / "bad.tgz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot extract .*bad\.tgz: .*delete the archive"):
        extract(path, tmp_path)
    assert names(tmp_path) == ["bad.tgz"]


def test_full_disk_is_noticed_before_extraction(tmp_path, monkeypatch):
    path = tmp_path / "a.tar"
    path.write_bytes(pack({"a/b": CONTENT}))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=len(CONTENT) - 1))
    with pytest.raises(DataError, match=r"the content of a\.tar needs 3\.1 MB: free some space"):
        extract(path, tmp_path)
    assert names(tmp_path) == ["a.tar"]


def test_extraction_cut_short_at_any_moment_is_not_taken_for_data(tmp_path, monkeypatch):
    source = make_voc(tmp_path / "source", n=2)
    content = pack(source.parent.parent)
    replace = Path.replace
    files = sum(path.is_file() for path in source.rglob("*"))
    for moved in range(files):
        root = tmp_path / f"root{moved}"
        root.mkdir()
        (root / "a.tar").write_bytes(content)
        done = []

        def killed(self: Path, target: Path, moved: int = moved, done: list[Path] = done) -> Path:
            if len(done) == moved:
                raise KeyboardInterrupt
            done.append(self)
            return replace(self, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", killed)
            extract(root / "a.tar", root)
        with pytest.raises(DataError, match=r"not in VOC layout|no split"):
            read_ids(find_root(root), "val")
        extract(root / "a.tar", root)
        assert names(find_root(root)) == names(source)


def test_leftovers_of_a_killed_extraction_go(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(pack({"a/b": "new"}))
    left = tmp_path / "a.tar.unpacked" / "a"
    left.mkdir(parents=True)
    (left / "old").write_text("old")
    extract(path, tmp_path)
    assert names(tmp_path) == ["a", "a.tar", "a/b"]
