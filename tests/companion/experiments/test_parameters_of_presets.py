"""What distinguishes settings, also in options that older artefacts do not know."""

from companion.experiments.parameters import differences
from companion.settings import load


def test_an_option_that_is_left_out_of_keys_is_among_the_differences() -> None:
    plain = load("voc2012")
    assert differences(plain.override({"affinity.trained": "head"}), plain) == {
        "affinity.trained": ("head", "published")
    }
    assert differences(plain, plain.override({"affinity.alphas": "matched"})) == {
        "affinity.alphas": ("constant", "matched")
    }


def test_every_preset_can_be_compared_with_the_published_settings() -> None:
    assert differences(load("animals"), load("voc2012"))["affinity.trained"] == ("head", "published")
