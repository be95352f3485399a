import pytest
import typer
from safetensors import SafetensorError

from paka.cli.errors import nearest, reporting_errors
from paka.errors import ConfigError, DataError


@pytest.mark.parametrize(("error", "code"), [(ConfigError("odd"), 2), (DataError("odd"), 1)])
def test_settings_and_work_fail_with_codes_of_their_own(error, code, capsys):
    with pytest.raises(typer.Exit) as left, reporting_errors():
        raise error
    assert left.value.exit_code == code
    assert capsys.readouterr().err == "error: odd\n"


def test_a_full_disk_is_told_with_its_remedy_whoever_wrote(capsys):
    with pytest.raises(typer.Exit) as left, reporting_errors():
        raise SafetensorError("Error while serializing: I/O error: File too large (os error 27)")
    assert left.value.exit_code == 1
    assert capsys.readouterr().err.startswith("error: the disk is full: Error while serializing")


def test_an_error_that_nobody_foresaw_is_not_hidden():
    with pytest.raises(ZeroDivisionError), reporting_errors():
        raise ZeroDivisionError


def test_the_nearest_name_is_found_by_the_whole_or_by_its_last_part():
    known = ["optim.lr_encoder", "optim.epochs", "views.flip"]
    assert nearest("optm.epochs", known) == "; did you mean optim.epochs?"
    assert nearest("flip", known) == "; did you mean views.flip?"
    assert nearest("zzz", known) == ""
