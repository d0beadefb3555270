"""Few images: an epoch goes through them several times until it has the steps that are asked for."""

from torch.utils.data import Dataset

from companion.pipeline.training import Repeated, passes
from companion.settings import OptimiserSettings, load


def test_an_epoch_has_at_least_the_steps_and_no_pass_more():
    settings = OptimiserSettings(batch_size=16, least_steps=195)
    assert [passes(settings, size) for size in (20, 300, 3120, 3131)] == [156, 11, 1, 1]
    assert passes(OptimiserSettings(), 1) == 1


def test_every_pass_is_augmented_as_an_epoch_of_its_own():
    class Addresses(Dataset):
        def __getitem__(self, address):
            return address

    repeated = Repeated(Addresses(), 3, 2)
    seen = [repeated[epoch, index] for epoch in range(2) for index in range(6)]
    assert seen == [(epoch, index) for epoch in range(4) for index in range(3)]


def test_settings_without_the_option_are_stored_as_before():
    assert "least_steps" not in load("animals").classifier.model_dump()
    assert load("own").classifier.model_dump()["least_steps"] == 50
