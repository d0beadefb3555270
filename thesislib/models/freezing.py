"""BatchNorm that keeps its statistics, as both published trainings have it (psa and deeplab-pytorch)."""

from torch import nn


class FreezableNorms(nn.Module):
    """A backbone whose BatchNorm stays in evaluation mode once `frozen` is set, whatever `train` is told."""

    frozen = False

    def train(self, mode: bool = True) -> "FreezableNorms":
        """As `nn.Module.train`, but BatchNorm of a frozen network stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            for norm in self._norms():
                norm.eval()
        return self

    def _norms(self) -> list[nn.BatchNorm2d]:
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
