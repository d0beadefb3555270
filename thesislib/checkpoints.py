"""The state of a training in one file: weights, optimiser, the step and the losses so far.

Nothing here corresponds to published code, which keeps weights at the end of an epoch.
"""

import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from thesislib.files import write_whole

History = dict[str, list[float]]


def save(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, step: int, history: History) -> None:
    """Write the state after `step` steps; the file before it stays until the new one is whole."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                tensors[f"optimiser.{index}.{name}"] = torch.as_tensor(value)
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(contiguous, {"step": str(step), "history": json.dumps(history)})
    write_whole(path, lambda file: file.write(content))


def resume(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[int, History]:
    """Fill model and optimiser from the file; returns the steps done and the losses so far, none without a file."""
    if not path.is_file():
        return 0, {}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, entry = name.split(".", 2)
            state.setdefault(int(index), {})[entry] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(metadata["step"]), json.loads(metadata["history"])
