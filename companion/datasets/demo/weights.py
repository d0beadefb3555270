"""The weights that every classifier of the demo starts from: a file that comes with the package.

They stand for ImageNet's, a condition of the thesis too: fixed once, the same for every seed and on every machine.
`benchmarks/demo_backbone.py` makes the file anew from the pretext task.
"""

from pathlib import Path

FILE = Path(__file__).with_name("backbone.safetensors")
WIDTH = 1 / 32  # of the ResNet-38 that they are for, at any stride
