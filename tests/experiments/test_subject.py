"""A subject that nothing reads would give equal runs for several people."""

import pytest
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from p300.errors import InputError
from p300.experiments.configuration import check_subject, compose_training, conf_dir


def composed(*overrides):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose_training(overrides)[0]


@pytest.mark.parametrize("subject", ["1", "[1,2]", "all", "B"])
@pytest.mark.parametrize("data", ["bnci", "muse", "bci3_ii", "moabb"])
def test_a_data_set_with_people_reads_the_subject(data, subject):
    check_subject(composed(f"data={data}", f"subject={subject}"))


@pytest.mark.parametrize("data", ["simulation", "bci2_iib"])
def test_a_data_set_without_people_refuses_a_subject_and_not_its_absence(data):
    check_subject(composed(f"data={data}"))
    check_subject(composed(f"data={data}", "subject=null"))
    with pytest.raises(InputError, match=r"got subject=2, which data=p300\.\S+ does not read"):
        check_subject(composed(f"data={data}", "subject=2"))


def test_any_way_to_the_reader_or_the_split_counts_as_read():
    for of_people in (
        {"data": {"read": {"who": "${oc.select:subject,1}"}}},
        {"data": {"subject": "${subject}", "read": {"path": "eeg/${data.subject}.mat"}}},
        {"data": {"read": {"_target_": "r"}}, "split": {"test": {"subject": ["${subject}"]}}},
    ):
        check_subject(OmegaConf.create({"subject": 2, **of_people}))
    unread = {"data": {"subject": "${subject}", "read": {"_target_": "r"}}}
    with pytest.raises(InputError, match="leave it out"):
        check_subject(OmegaConf.create({"subject": 2, **unread}))


def test_a_sweep_over_people_who_are_not_there_gives_no_results(p300, small, tmp_path):
    status, printed, errors = p300("train", "-m", "experiment=lda", *small, "subject=1,2")
    assert status == 1 and "Traceback" not in printed + errors
    assert "got subject=1, which data=p300.simulation.simulate_data_set does not read" in (
        printed + errors
    )
    assert not list(tmp_path.rglob("results.json"))


def test_evaluating_a_runs_own_recording_takes_no_other_subject(p300, small):
    assert p300("train", "experiment=lda", *small, "hydra.run.dir=run")[0] == 0
    status, _, errors = p300("evaluate", "run=run", "subject=7", "stopping=none")
    assert status == 1 and "subject=7, which the run's own recording does not read" in errors
