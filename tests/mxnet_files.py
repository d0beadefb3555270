"""A writer of MXNet's format, kept apart from the reader: one array, then the list around the arrays."""

import struct

import numpy as np

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
FLAGS = {"float32": 0, "float64": 1, "float16": 2, "uint8": 3, "int32": 4, "int8": 5, "int64": 6, "bool": 7}
FLAGS |= {"int16": 8, "uint16": 9, "uint32": 10, "uint64": 11}


def packed(array, version=V2, flag=None):
    shape = struct.pack(f"<i{array.ndim}q", array.ndim, *array.shape)
    head = {
        0: struct.pack(f"<I{array.ndim}I", array.ndim, *array.shape),
        V1: struct.pack("<I", V1) + shape,
        V2: struct.pack("<Ii", V2, 0) + shape,
        V3: struct.pack("<Ii", V3, 0) + shape,
    }[version]
    return head + struct.pack("<iii", 2, 1, FLAGS[array.dtype.name] if flag is None else flag) + array.tobytes()


def listed(arrays, names=(), magic=0x112):
    text = b"".join(struct.pack("<Q", len(name.encode())) + name.encode() for name in names)
    return struct.pack("<QQQ", magic, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names)) + text


def write(folder, content, name="file.params"):
    (folder / name).write_bytes(content)
    return folder / name


BLOCKS = {2: "a b1 b2", 3: "a b1 b2", 4: "a b1 b2 b3 b4 b5", 5: "a b1 b2", 6: "a", 7: "a"}


def mxnet_names():
    """Names of the ImageNet file with the published name of each tensor, written out from the network's plan."""
    pairs = {"arg:conv1a_weight": "conv1a.weight"}
    norms = {"bn7": "bn7"}
    for stage, letters in BLOCKS.items():
        for letter in letters.split():
            ours = f"b{stage}" if letter == "a" else f"b{stage}_{letter[1]}"
            inner = ["branch2a", "branch2b1"] + (["branch2b2"] if stage > 5 else [])
            for branch in inner + (["branch1"] if letter == "a" else []):
                pairs[f"arg:res{stage}{letter}_{branch}_weight"] = f"{ours}.conv_{branch}.weight"
            norms |= {f"bn{stage}{letter}_{branch}": f"{ours}.bn_{branch}" for branch in inner}
    for theirs, ours in norms.items():
        pairs[f"arg:{theirs}_gamma"] = f"{ours}.weight"
        pairs[f"arg:{theirs}_beta"] = f"{ours}.bias"
        pairs[f"aux:{theirs}_moving_mean"] = f"{ours}.running_mean"
        pairs[f"aux:{theirs}_moving_var"] = f"{ours}.running_var"
    return pairs


def random_state(model, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.random(tuple(t.shape)).astype(np.float32) for name, t in model.state_dict().items()}


def params_file(folder, arrays, version=0):
    return write(folder, listed([packed(array, version) for array in arrays.values()], list(arrays)))
