"""The published weight files that the thesis' experiments can start from or be compared with, as data.

Thesis sections 2.4.1 and 3.4.1 (ImageNet weights) and the step before (released networks). Facts are those of
itijyou/ademxapp (`models/checksum.md5`), jiwoon-ahn/psa, Juliachang/SC-CAM, kazuto1011/deeplab-pytorch and
jbeomlee93/AdvCAM (their READMEs), and of torchvision (`models/resnet.py`). Nothing is downloaded from here.

What a file is, `recognition` reads from its tensors.
"""

from dataclasses import dataclass
from typing import Literal

from thesislib.data.transforms import CAFFE, IMAGENET, Preprocessing

NETWORKS = {"resnet38": "ResNet-38", "resnet50": "ResNet-50"}
"""Names of the networks that are written here; `network_name` knows those of timm too."""


def network_name(network: str) -> str:
    """A network as texts call it.

    >>> network_name("resnet38"), network_name("timm/tf_efficientnet_lite0")
    ('ResNet-38', 'tf_efficientnet_lite0 of timm')
    """
    return NETWORKS.get(network, f"{network.removeprefix('timm/')} of timm")


@dataclass(frozen=True)
class Network:
    """A network as the tensors of a file describe it.

    Attributes:
        trunk: the network without its heads.
        head: what stands on it, if anything.
        width: factor on the channel counts of ResNet-38 and ResNet-101.
        classes: outputs of a classifier's first head, or of DeepLab, which has the background among them.
        subcategories: K per class of a classifier's second head.
        feature_channels: of a classifier's own convolution (S4).
        blocks: of the four stages of ResNet-101.
        rates: how many dilated convolutions DeepLab sums.
        layout: `caffe` or `torchvision`, where the blocks of ResNet-101 have their stride; empty where a file does not
            tell.
    """

    trunk: Literal["ResNet-38", "ResNet-50", "ResNet-101"]
    head: Literal["", "classifier", "AffinityNet", "DeepLab-v2"] = ""
    width: float = 1
    classes: int = 0
    subcategories: int = 0
    feature_channels: int = 0
    blocks: tuple[int, int, int, int] = (0, 0, 0, 0)
    rates: int = 0
    layout: str = ""

    def __str__(self) -> str:
        """The network in words.

        >>> print(Network("ResNet-38", "classifier", classes=20, subcategories=10))
        classifier on ResNet-38 with 20 classes and 10 sub-categories each
        """
        text = f"{self.head} on {self.trunk}" if self.head else self.trunk
        text += f" of width 1/{1 / self.width:g}" if self.width != 1 else ""
        text += f" with {self.classes} classes" if self.classes else ""
        text += f" and {self.subcategories} sub-categories each" if self.subcategories else ""
        text += f", features of {self.feature_channels} channels" if self.feature_channels else ""
        return text + (f", {self.layout} layout" if self.layout else "")


@dataclass(frozen=True)
class WeightFile:
    """A published file.

    Attributes:
        name: by which the project speaks of it.
        network: what its tensors are for.
        purpose: what it is for in the thesis' experiments.
        files: names under which it is published or produced; empty where its source does not fix one.
        source: where to get it.
        licence: under which its source is published.
        preprocessing: what its images have to be.
        score: what it is expected to score, and on which set.
        md5: checksum where its source gives one.
        sha256: its first digits, where the file's name carries them.
        init: value of `segmentation.init` that belongs to it.
    """

    name: str
    network: Network
    purpose: str
    files: tuple[str, ...]
    source: str
    licence: str
    preprocessing: Preprocessing
    score: str
    md5: str = ""
    sha256: str = ""
    init: Literal["", "imagenet", "coco"] = ""

    @property
    def checksum(self) -> str:
        """Its checksum in words, or that there is none."""
        return f"MD5 {self.md5}" if self.md5 else f"SHA-256 {self.sha256}..." if self.sha256 else "none published"


_RESNET101 = (3, 4, 23, 3)
_TORCHVISION = "https://download.pytorch.org/models/"


def _torchvision(
    name: str, network: Network, purpose: str, sha256: str, score: str, init: Literal["", "imagenet"] = ""
) -> WeightFile:
    file = f"{network.trunk.lower().replace('-', '')}-{sha256}.pth"
    return WeightFile(
        name,
        network,
        purpose,
        (file,),
        _TORCHVISION + file,
        "BSD-3-Clause (torchvision)",
        IMAGENET,
        f"ImageNet val: {score} at 224 pixels",
        sha256=sha256,
        init=init,
    )


WEIGHT_FILES: tuple[WeightFile, ...] = (
    WeightFile(
        "resnet38-imagenet",
        Network("ResNet-38"),
        "initial weights of classifier and AffinityNet, as in the thesis",
        ("ilsvrc-cls_rna-a1_cls1000_ep-0001.params",),
        "https://github.com/itijyou/ademxapp (its link is dead; copies are linked in the READMEs of psa and SC-CAM)",
        "Apache-2.0 (ademxapp)",
        IMAGENET,
        "ImageNet val: top-1 error 19.54 %, top-5 4.75 % at 320 pixels",
        md5="ff21f45d6bf03284100dcbec571edfad",
    ),
    WeightFile(
        "psa-classifier",
        Network("ResNet-38", "classifier", classes=20),
        "plain CAM as released: round 0 of chapter 3 (A14), baseline of Tables 2.1 and 3.1 (S8)",
        ("res38_cls.pth",),
        "https://drive.google.com/file/d/1xESB7017zlZHqxEWuh1Rb89UhjTGIKOA (README of github.com/jiwoon-ahn/psa)",
        "MIT (psa)",
        IMAGENET,
        "CAM mIoU 47.7 on VOC 2012 train, 47.2 on val (S8: the thesis prints 48.0, 46.8)",
    ),
    WeightFile(
        "psa-affinitynet",
        Network("ResNet-38", "AffinityNet"),
        "AffinityNet as released, for comparison of the random walk",
        ("res38_aff.pth",),
        "https://drive.google.com/open?id=1mFvTH3siw0SS0vqPH0o9N3cI_ISQacwt (README of github.com/jiwoon-ahn/psa)",
        "MIT (psa)",
        IMAGENET,
        "random walk mIoU 61.0 on VOC 2012 train, 60.2 on val, alpha 4/16/32 (S8: the thesis prints 58.1, 57.0)",
    ),
    WeightFile(
        "sc-cam-classifier",
        Network("ResNet-38", "classifier", classes=20, subcategories=10),
        "classifier of round 3 as released: SC-CAM of Table 3.1 without training",
        (),
        "https://github.com/Juliachang/SC-CAM (link in its README)",
        "MIT (SC-CAM)",
        IMAGENET,
        "CAM mIoU 50.9 on VOC 2012 train, 49.6 on val (a user measured 48.93 on val, SC-CAM issue #11)",
    ),
    WeightFile(
        "deeplab-coco",
        Network("ResNet-101", blocks=_RESNET101, layout="caffe"),
        "initial weights of DeepLab that have seen pixel labels of MS-COCO: a control row (A22)",
        ("deeplabv1_resnet101-coco.pth",),
        "init.caffemodel in http://liangchiehchen.com/projects/released/deeplab_aspp_resnet101/prototxt_and_model.zip, "
        "which convert.py of github.com/kazuto1011/deeplab-pytorch converts",
        "none stated (DeepLab); converter MIT",
        CAFFE,
        "fully supervised DeepLab-v2 from it: mIoU 76.65 on VOC 2012 val, 77.93 with CRF",
        init="coco",
    ),
    WeightFile(
        "deeplab-imagenet",
        Network("ResNet-101", blocks=_RESNET101, layout="caffe"),
        "initial weights of DeepLab from ImageNet in deeplab-pytorch's layout (A22)",
        (),
        "https://drive.google.com/file/d/14soMKDnIZ_crXQTlol9sNHVPozcQQpMn (README of github.com/jbeomlee93/AdvCAM)",
        "none stated (AdvCAM)",
        CAFFE,
        "none published",
        init="imagenet",
    ),
    _torchvision(
        "resnet50-imagenet-v1",
        Network("ResNet-50"),
        "initial weights of the ResNet-50 variant of classifier and AffinityNet",
        "0676ba61",
        "top-1 accuracy 76.130 %, top-5 92.862 %",
    ),
    _torchvision(
        "resnet50-imagenet-v2",
        Network("ResNet-50"),
        "the same, from torchvision's newer recipe",
        "11ad3fa6",
        "top-1 accuracy 80.858 %, top-5 95.434 %",
    ),
    _torchvision(
        "resnet101-imagenet-v1",
        Network("ResNet-101", blocks=_RESNET101, layout="torchvision"),
        "initial weights of DeepLab (A22)",
        "63fe2227",
        "top-1 accuracy 77.374 %, top-5 93.546 %",
        init="imagenet",
    ),
    _torchvision(
        "resnet101-imagenet-v2",
        Network("ResNet-101", blocks=_RESNET101, layout="torchvision"),
        "the same, from torchvision's newer recipe",
        "cd907fc2",
        "top-1 accuracy 81.886 %, top-5 95.780 %",
        init="imagenet",
    ),
)
"""Every file the project knows of."""


def get(name: str) -> WeightFile:
    """The file of that name in `WEIGHT_FILES`.

    >>> get("psa-classifier").files
    ('res38_cls.pth',)
    """
    return next(entry for entry in WEIGHT_FILES if entry.name == name)


def named(file: str) -> WeightFile | None:
    """The entry that is published under this file name, if there is one."""
    return next((entry for entry in WEIGHT_FILES if file in entry.files), None)


def where(name: str) -> str:
    """File name and source of an entry, for messages that ask for it.

    >>> where("resnet50-imagenet-v1")
    'resnet50-0676ba61.pth from https://download.pytorch.org/models/resnet50-0676ba61.pth'
    """
    entry = get(name)
    return f"{' or '.join(entry.files) or entry.name} from {entry.source}"
