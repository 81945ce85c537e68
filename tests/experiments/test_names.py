import pytest

from p300.experiments.names import LONGEST, WITHOUT_EFFECT, has_effect, run_name

CNN1 = {"experiment": "cnn1", "model": "cecotti", "data": "bnci"}


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ([], "cnn1"),
        (["experiment=cnn1", "data=bnci", "subject=6", "seed=1", "data.read.sfreq=128"], "cnn1"),
        (
            ["logger=csv", "quiet=true", "threads=4", "cache.folder=/tmp", "hydra.job.num=3"],
            "cnn1",
        ),
        (["trainer.devices=2", "trainer.accelerator=gpu", "save_every_s=1"], "cnn1"),
        (["trainer.precision=bf16-mixed"], "cnn1_precision-bf16-mixed"),
        (["protocol.optimizer.lr=1e-3", "model=eegnet"], "cnn1_model-eegnet_lr-1e-3"),
        (["+trainer.limit_train_batches=2"], "cnn1_limit_train_batches-2"),
        (["~split.test"], "cnn1_no-test"),
        (["model=eegnet", "name='first idea'"], "first-idea"),
        (["model=eegnet", "name=null"], "cnn1_model-eegnet"),
        (["preprocessing.tmin=-0.1"], "cnn1_tmin--0.1"),
        (
            ["model.dropout=0", "augmentation.dropout=1"],
            "cnn1_augmentation.dropout-1_model.dropout-0",
        ),
        (["model._target_=mine.Net"], "cnn1_model-mine.Net"),
        (["pretrained=../runs/a b"], "cnn1_pretrained-..-runs-a-b"),
        (["model.text='it''s | \"so\"'"], "cnn1_text-its-so"),
    ],
)
def test_a_name_is_the_experiment_and_what_deviates_from_it(typed, name):
    assert run_name(CNN1, typed) == name
    assert run_name(CNN1, reversed(typed)) == name


@pytest.mark.parametrize("choices", [{"model": "mlp"}, {"model": "mlp", "experiment": None}])
def test_without_an_experiment_the_network_gives_the_name(choices):
    assert run_name(choices, ["model=mlp", "experiment=null", "model.n_hidden=5"]) == (
        "mlp_n_hidden-5"
    )


def test_a_long_name_fits_a_file_system_and_stays_another_than_its_neighbour():
    names = {
        run_name(CNN1, [f"preprocessing.channels=[{','.join(['Cz'] * 60)},{last}]"])
        for last in ("Pz", "Oz")
    }
    assert len(names) == 2 and all(len(name) <= LONGEST for name in names)


def test_what_a_sweep_ignores_has_no_effect_here_either():
    assert not any(has_effect(key) for key in WITHOUT_EFFECT)
    assert has_effect("threads_of_thought") and has_effect("model")
