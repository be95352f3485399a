import pytest
import yaml

from paka.cli.settings import (
    Given,
    gather,
    new_config,
    parse_assignment,
    same_config,
    setting_names,
    to_yaml,
)
from paka.errors import ConfigError
from paka.files import write_json
from paka.presets import PRESETS


def test_an_assignment_is_nested_and_its_value_is_yaml():
    assert parse_assignment("views.global_scale=[0.3, 1.0]") == {
        "views": {"global_scale": [0.3, 1.0]}
    }
    assert parse_assignment("loss.grid=null") == {"loss": {"grid": None}}
    assert parse_assignment("encoder=test_vit@random") == {"encoder": "test_vit@random"}


def test_numbers_with_an_exponent_are_numbers():
    given = gather(assignments=["optim.lr_encoder=1e-4"], dataset="photos")
    assert new_config(given).optim.lr_encoder == 1e-4


@pytest.mark.parametrize(
    ("assignment", "hint"),
    [
        ("optim.lr_encodr=1", "optim.lr_encoder"),
        ("lr_head=1", "optim.lr_head"),
        ("optm.epochs=1", "optim.epochs"),
        ("optim.epochs", "key=value"),
        ("optim.epochs=[1", "not YAML"),
    ],
)
def test_a_bad_assignment_is_refused_with_a_hint(assignment, hint):
    with pytest.raises(ConfigError, match=hint):
        parse_assignment(assignment)


def test_later_sources_win_and_the_preset_lies_below(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("preset: tiny\ndataset: a\noptim: {max_steps: 7, batch_size: 4}\n")
    given = gather(file, ["optim.max_steps=9"], dataset="b", encoder="test_vit@random")
    config = new_config(given)
    assert config.optim.max_steps == 9
    assert config.optim.batch_size == 4
    assert config.dataset.endswith("/b")
    assert config.encoder.reference == "test_vit@random"
    assert config.head.out == PRESETS["tiny"]["head"]["out"]


def test_a_preset_on_the_command_line_wins_over_the_files(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("preset: tiny\ndataset: a\n")
    assert new_config(gather(file, preset="paper")).views.global_size == 518


def test_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gather(dataset="photos").overrides["dataset"] == str(tmp_path / "photos")


def test_weights_without_their_architecture_are_refused():
    with pytest.raises(ConfigError, match="name@weights"):
        gather(assignments=["encoder.weights=random"], dataset="photos")


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "optim: [", "just words"])
def test_a_file_without_settings_is_refused(tmp_path, text):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        gather(file)


def test_every_bad_setting_is_listed_with_its_value():
    given = gather(
        assignments=["optim.lr_encoder=3", "teacher.momentum=soon", "views.global_scale=[0.9, 0.1]"]
    )
    with pytest.raises(ConfigError) as caught:
        new_config(given)
    lines = str(caught.value).splitlines()[1:]
    by_field = {line.split()[0]: line for line in lines}
    assert by_field.keys() == {
        "dataset",
        "optim.lr_encoder",
        "teacher.momentum",
        "views.global_scale",
    }
    assert by_field["optim.lr_encoder"].endswith("less than or equal to 1, got 3")
    assert "'soon'" in by_field["teacher.momentum"]


def test_an_unknown_key_in_a_file_is_named_with_the_nearest(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("dataset: a\noptim: {batchsize: 3}\n")
    with pytest.raises(ConfigError, match=r"optim\.batchsize .*did you mean optim\.batch_size"):
        new_config(gather(file))


def test_the_settings_as_yaml_are_a_config_file(tmp_path):
    config = new_config(gather(dataset="photos", preset="paper"))
    file = tmp_path / "run.yaml"
    file.write_text(to_yaml(config))
    assert new_config(gather(file)) == config
    assert list(yaml.safe_load(file.read_text()))[:2] == ["encoder", "dataset"]


@pytest.fixture
def earlier(tmp_path):
    """The config.json of a run."""
    config = new_config(gather(dataset="photos", preset="tiny", assignments=["optim.epochs=3"]))
    write_json(tmp_path / "config.json", config.model_dump(mode="json"))
    return tmp_path / "config.json"


def test_a_run_goes_on_with_its_own_settings(earlier):
    assert same_config(earlier, Given(None, {})).optim.epochs == 3


def test_a_run_goes_on_when_the_same_settings_are_given_again(earlier):
    given = gather(dataset="photos", preset="tiny", assignments=["optim.epochs=3"])
    assert same_config(earlier, given).head.out == PRESETS["tiny"]["head"]["out"]


def test_a_run_is_not_gone_on_with_other_settings(earlier):
    given = gather(dataset="others", assignments=["optim.epochs=4"])
    with pytest.raises(ConfigError, match=r"optim\.epochs: 3\.0 there, 4\.0 here") as caught:
        same_config(earlier, given)
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        "dataset",
        "optim.epochs",
    ]


def test_all_names_are_dotted_and_sections_are_among_them():
    names = list(setting_names())
    assert {"encoder", "encoder.weights", "optim", "optim.lr_encoder", "dataset"} <= set(names)


def test_an_evaluation_is_asked_for_by_its_data_set_whose_path_becomes_absolute(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    given = gather(assignments=["evaluate.dataset=camvid", "evaluate.in_context.k=5"], dataset=".")
    config = new_config(given)
    assert config.evaluate.dataset == str(tmp_path / "camvid")
    assert config.evaluate.in_context.k == 5
