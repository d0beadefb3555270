"""What happens to files: each mutation makes other bytes of a file's, by a generator of its own."""

import io
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np

Mutation = Callable[[random.Random, bytes], bytes]
NUMBERS = (float("nan"), float("inf"), -float("inf"), -1e30, 1e30)


def cut(rng: random.Random, content: bytes) -> bytes:
    """A download that broke off."""
    return content[: rng.randrange(1, max(2, len(content)))]


def empty(rng: random.Random, content: bytes) -> bytes:
    """A copy onto a full disk."""
    return b""


def flipped(rng: random.Random, content: bytes) -> bytes:
    """One to sixty-four bits turned over."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 4, 16, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def zeroed(rng: random.Random, content: bytes) -> bytes:
    """A part that the disk has lost."""
    start = rng.randrange(len(content))
    length = rng.randrange(1, len(content) - start + 1)
    return content[:start] + bytes(length) + content[start + length :]


def noise(rng: random.Random, content: bytes) -> bytes:
    """Random bytes of the same length."""
    return rng.randbytes(len(content))


def web_page(rng: random.Random, content: bytes) -> bytes:
    """What a server sends to whoever has not logged in."""
    return b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in</body></html>\n"


def pointer(rng: random.Random, content: bytes) -> bytes:
    """What Git LFS leaves in place of a large file."""
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1234\n"


BYTES: list[Mutation] = [cut, empty, flipped, zeroed, noise, web_page, pointer]


def wrong_encoding(rng: random.Random, content: bytes) -> bytes:
    """Bytes that are no UTF-8, within the text."""
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice((b"\xff\xfe\xfd", "é".encode("latin-1"), b"\x00\xd8")) + content[at:]


def repeated_line(rng: random.Random, content: bytes) -> bytes:
    """A line twice."""
    lines = content.splitlines(keepends=True)
    line = rng.choice(lines)
    return b"".join([*lines, line])


def lost_line(rng: random.Random, content: bytes) -> bytes:
    """A line missing."""
    lines = content.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def swapped(rng: random.Random, content: bytes) -> bytes:
    """Two words changed for each other."""
    words = content.split(b" ") if b" " in content.strip() else content.splitlines(keepends=True)
    if len(words) > 1:
        a, b = rng.sample(range(len(words)), 2)
        words[a], words[b] = words[b], words[a]
    return (b" " if b" " in content.strip() else b"").join(words)


def strange_word(rng: random.Random, content: bytes) -> bytes:
    """A word within the text that does not belong there."""
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice((b" NaN ", b" 1e400 ", b"<", b"}", b'"', b"../", b" \x00", b"=")) + content[at:]


TEXT: list[Mutation] = [cut, empty, noise, web_page, wrong_encoding, repeated_line, lost_line, swapped, strange_word]


def json_value(rng: random.Random, content: bytes) -> bytes:
    """A value of a JSON file is lost, of another type, or no number."""
    tree = json.loads(content)
    places = list(_places(tree))
    holder, key = rng.choice(places)
    match rng.randrange(4):
        case 0:
            del holder[key]
        case 1:
            holder[key] = rng.choice(NUMBERS)
        case 2:
            holder[key] = {"unexpected": [1]} if not isinstance(holder[key], dict) else "text"
        case _:
            holder[key] = rng.choice((None, True, [[]], "", -1))
    return json.dumps(tree).encode()


def _places(tree: Any) -> Any:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def repeated_key(rng: random.Random, content: bytes) -> bytes:
    """The first key of a JSON object twice, the second time with other content."""
    tree = json.loads(content)
    key = next(iter(tree))
    return json.dumps(tree).encode()[:-1] + f', "{key}": [1, 2]}}'.encode()


JSON: list[Mutation] = [cut, empty, noise, web_page, wrong_encoding, json_value, json_value, repeated_key]


def arrays(rng: random.Random, content: bytes) -> bytes:
    """An array of an `.npz` file has another shape or type, holds what is no number, or is missing."""
    stored = dict(np.load(io.BytesIO(content)))
    name = rng.choice(sorted(stored))
    array = stored.pop(name)
    if rng.randrange(6):
        stored[name] = changed_array(rng, array)
    out = io.BytesIO()
    np.savez(out, **stored)
    return out.getvalue()


def changed_array(rng: random.Random, array: np.ndarray) -> np.ndarray:
    """Another array in its place."""
    match rng.randrange(6):
        case 0:
            return array[..., : array.shape[-1] // 2] if array.shape[-1:] > (1,) else array[:0]
        case 1:
            return array[None]
        case 2:
            return array.astype("U8")
        case 3:
            broken = array.astype(np.float32)
            broken.flat[rng.randrange(array.size)] = rng.choice(NUMBERS)
            return broken
        case 4:
            return np.full_like(array, 200) if array.dtype.kind in "iu" else -array - 1
        case _:
            return np.zeros(array.shape, complex)


ARRAYS: list[Mutation] = [cut, empty, flipped, noise, web_page, arrays, arrays, arrays]
