import numpy as np
import pandas as pd
import pytest

from p300.errors import InputError
from p300.experiments.benchmark.tables import accuracy_figure, auc_figure
from p300.figures import draw_learning_curves, draw_sweep, draw_training, read_training

LOGGED = """epoch,step,train/loss,validation/auc,validation/loss
0,9,,0.60,0.50
0,9,0.70,,
1,19,,0.80,0.40
1,19,0.50,,
2,29,,0.75,0.45
2,29,0.40,,
"""


@pytest.fixture
def run_folder(tmp_path):
    for k in (1, 2, 10):
        (tmp_path / "networks" / str(k)).mkdir(parents=True)
        (tmp_path / "networks" / str(k) / "metrics.csv").write_text(LOGGED)
    return tmp_path


def runs():
    return pd.DataFrame(
        {
            "experiment": ["good", "bad", "good", "bad", "middle"],
            "seed": [0, 0, 1, 1, 0],
            "auc": [0.9, 0.5, 0.8, 0.7, 0.75],
            "accuracy_05": [1.0, 0.5, 0.9, 0.4, np.nan],
        }
    )


def summary():
    rows = [
        {
            "task": task,
            "protocol": "within",
            "experiment": experiment,
            "n_characters": n,
            "auc": 0.5 + 0.03 * n + bonus,
            "low": 0.48 + 0.03 * n + bonus,
            "high": 0.51 + 0.03 * n + bonus,
            "n_units": 13,
            "unit": "characters",
            "accuracy_01": 0.5,
            "accuracy_01_low": 0.4,
            "accuracy_01_high": 0.6,
            "accuracy_02": 1.0,
            "accuracy_02_low": 0.9,
            "accuracy_02_high": 1.0,
        }
        for task in ("iib", "bnci")
        for experiment, bonus in (("lda", 0.02), ("cnn1", 0.0))
        for n in (12.0, 3.0)
    ]
    return pd.DataFrame(rows)


def test_the_log_of_a_training_becomes_one_row_per_epoch(run_folder):
    training = read_training(run_folder)
    assert list(training) == ["network 1", "network 2", "network 10"]
    table = training["network 10"]
    assert table["n_epochs"].tolist() == [1, 2, 3]
    assert table["train/loss"].tolist() == [0.7, 0.5, 0.4]
    assert table["validation/auc"].tolist() == [0.6, 0.8, 0.75]


def test_losses_and_auc_are_drawn_by_epoch_with_a_ring_at_the_best(run_folder):
    figure = draw_training(read_training(run_folder))
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["training loss", "validation loss", "validation AUC"]
    first, ring = figure.axes[2].lines[:2]
    assert first.get_xdata().tolist() == [1, 2, 3]
    assert first.get_ydata().tolist() == [0.6, 0.8, 0.75]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2, 0.8)
    assert figure.get_supxlabel().startswith("training epoch")
    assert "network 10 validation AUC 0.800 at 2" in figure.get_label()
    by_loss = draw_training(read_training(run_folder), monitor="validation/loss")
    assert "validation loss 0.400 at 2" in by_loss.get_label()


def test_a_training_without_validation_has_one_panel():
    table = pd.DataFrame({"n_epochs": [1], "train/loss": [0.7], "validation/auc": [np.nan]})
    figure = draw_training(table)
    (axis,) = figure.axes
    assert axis.lines[0].get_marker() == "o"  # one epoch would not show as a line
    assert figure.get_label() == "By training epoch, up to 1: training loss."


def test_no_training_is_refused(tmp_path):
    with pytest.raises(InputError, match="no networks/.*metrics.csv"):
        read_training(tmp_path)
    with pytest.raises(InputError, match="without a finite value of train/loss"):
        draw_training(pd.DataFrame({"n_epochs": [1], "train/loss": [np.nan]}))


def test_learning_curves_are_drawn_by_task_in_the_order_of_characters():
    figure = draw_learning_curves(summary())
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["iib (n = 13 characters)", "bnci (n = 13 characters)"]
    lda, cnn1 = figure.axes[0].containers
    np.testing.assert_allclose(lda[0].get_ydata(orig=False), [0.61, 0.88])
    np.testing.assert_allclose(cnn1[0].get_xdata(orig=False), [3, 12], atol=0.2)
    for segment, value in zip(lda[2][0].get_segments(), [0.61, 0.88], strict=True):
        assert segment[0][1] < value < segment[1][1]
    assert figure.axes[0].get_xlabel() == "training characters"
    assert "iib: lda is best with 12 training characters, 0.880" in figure.get_label()


def test_one_point_of_a_learning_curve_is_drawn_and_none_refused():
    figure = draw_learning_curves(summary()[:1].drop(columns="task"))
    assert len(figure.axes) == 1
    with pytest.raises(InputError, match="none of 8 rows has both n_characters and auc"):
        draw_learning_curves(summary().assign(n_characters=np.nan))
    with pytest.raises(InputError, match="no column low"):
        draw_learning_curves(summary().drop(columns="low"))


def test_a_sweep_is_sorted_by_mean_with_standard_deviation_and_every_run():
    figure = draw_sweep(runs())
    (axis,) = figure.axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["bad (n = 2)", "middle (n = 1)", "good (n = 2)"]
    means = [c[0].get_xdata(orig=False)[0] for c in axis.containers]
    np.testing.assert_allclose(means, [0.6, 0.75, 0.85])
    low, high = axis.containers[0][2][0].get_segments()[0][:, 0]
    np.testing.assert_allclose([low, high], 0.6 + np.array([-1, 1]) * np.std([0.5, 0.7], ddof=1))
    dots = [line for line in axis.lines if line.get_markerfacecolor() == "none"]
    assert sorted(x for line in dots for x in line.get_xdata()) == sorted(runs()["auc"])
    assert axis.get_xlabel() == "AUC of single flashes"
    assert "best good with a mean of 0.85, last bad with 0.6" in figure.get_label()


def test_runs_without_the_value_are_counted_and_accuracies_are_percentages():
    figure = draw_sweep(runs(), "accuracy_05")
    (axis,) = figure.axes
    assert axis.get_xlabel() == "characters right after 5 repetitions (%)"
    assert "4 runs" in axis.get_title(loc="left") and "1 without" in axis.get_title(loc="left")
    np.testing.assert_allclose([c[0].get_xdata(orig=False)[0] for c in axis.containers], [45, 95])


def test_results_of_the_test_part_keep_the_rank_of_the_held_out_ones():
    held_out = runs().assign(held_out_auc=[0.6, 0.9, 0.6, 0.9, 0.7])
    figure = draw_sweep(held_out, "auc", rank_by="held_out_auc")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["good (n = 2)", "middle (n = 1)", "bad (n = 2)"]
    assert "held out: first bad with a mean of 0.6, last good" in figure.get_label()


def test_lines_join_the_runs_of_one_seed():
    axis = draw_sweep(runs(), lines_by="seed").axes[0]
    joined = [
        line for line in axis.lines if len(line.get_ydata()) == 3 and line.get_color() == "0.7"
    ]
    np.testing.assert_allclose(joined[0].get_xdata(), [0.5, 0.75, 0.9])
    np.testing.assert_allclose(joined[1].get_xdata(), [0.7, np.nan, 0.8])
    two = draw_sweep(runs(), by=["experiment", "seed"], lines_by="seed")
    assert "good · 0 (n = 1)" in [t.get_text() for t in two.axes[0].get_yticklabels()]


def test_a_sweep_says_what_it_lacks():
    with pytest.raises(InputError, match="no column f_score in .*; expected some of experiment"):
        draw_sweep(runs(), "f_score")
    with pytest.raises(InputError, match="none of 5 runs has a finite auc"):
        draw_sweep(runs().assign(auc=np.nan))
    with pytest.raises(InputError, match="got no column in by; expected one or more of experi"):
        draw_sweep(runs(), by=())


def test_the_figures_of_a_benchmark_carry_intervals_and_a_sentence():
    full = summary()
    full = full[full["n_characters"] == 12].assign(n_characters=np.nan)
    figure = auc_figure(full)
    container = figure.axes[0].containers[0]
    np.testing.assert_allclose(container[0].get_xdata(orig=False), [0.86, 0.88])
    for segment, value in zip(container[2][0].get_segments(), [0.86, 0.88], strict=True):
        assert segment[0][0] < value < segment[1][0]
    assert figure.axes[0].get_title(loc="left") == "iib: within (n = 13 characters)"
    assert (
        "iib: within, best of 2 is lda: 0.880, 0.860 to 0.890 (13 characters)"
        in figure.get_label()
    )
    accuracy = accuracy_figure(full)
    assert len(accuracy.axes[0].collections) == 2  # two detectors: bands
    assert "2 detectors: iib: within; bnci: within" in accuracy.get_label()
    assert [t.get_text() for t in accuracy.legends[0].get_texts()] == ["lda", "cnn1"]


def test_a_benchmark_without_results_has_empty_figures():
    empty = summary()[:0]
    assert auc_figure(empty).get_label() and accuracy_figure(empty).get_label()
