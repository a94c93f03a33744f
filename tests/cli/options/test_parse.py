"""Texts of the command line as values: which forms are read, and that every other one is refused with an example."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from taskcal.cli.main import app
from taskcal.cli.options.configuration import find_configuration
from taskcal.cli.options.parse import read_band
from taskcal.core.verdict import Band
from taskcal.errors import InputError, TaskcalError, UsageError

BANDS = {
    "0.05,0.75": (0.05, 0.75),
    "0,1": (0.0, 1.0),
    "0,0.01": (0.0, 0.01),
    "0.99,1": (0.99, 1.0),
    " .05 , 0.75 ": (0.05, 0.75),
    "5e-2,7.5e-1": (0.05, 0.75),
    "5,75": (0.05, 0.75),
    "5.0,75": (0.05, 0.75),
    "0,75": (0.0, 0.75),
    "0,2": (0.0, 0.02),
    "1,75": (0.01, 0.75),
    "1,100": (0.01, 1.0),
    "0,100": (0.0, 1.0),
    "5%,75%": (0.05, 0.75),
    "5 %, 75 %": (0.05, 0.75),
    "5,75%": (0.05, 0.75),
    "0.5%,75%": (0.005, 0.75),
    "0.5%,75": (0.005, 0.75),
    "0%,1%": (0.0, 0.01),
    "0%,1.5%": (0.0, 0.015),
}
REFUSED = [
    "", ",", "5", "5,", ",75", "5,75,90", "a,b", "5;75", "5-75", "0.05 0.75", "nan,1", "0,inf", "-5,75", "0x5,75",
    "1_0,75", "75,5", "0.75,0.05", "0.5,0.5", "5,5", "1,1", "0,0", "5,101", "0,1000", "5%,101%", "0.5,75", "0.05,75%",
    "5%,0.75", "1e-1000,1", "%,%", "5%%,75%", "0,1.1", "1,1.5",
]  # fmt: skip


@pytest.mark.parametrize("text", BANDS)
def test_a_band_is_read_as_fractions_or_in_percent(text: str) -> None:
    """Both ends in one unit: percent if one has the sign or the upper one is at least 2."""
    assert read_band(text) == Band(*BANDS[text])


@pytest.mark.parametrize("text", REFUSED)
def test_other_texts_are_refused_with_both_forms(text: str) -> None:
    """One that could mean two bands too, such as 0.5,75."""
    with pytest.raises(UsageError) as caught:
        read_band(text)
    assert str(caught.value).startswith(f"--band {text}: ")
    assert str(caught.value).endswith("such as 0.05,0.75 or, in percent, 5,75")


@given(st.integers(0, 99), st.integers(2, 100))
def test_whole_percents_are_the_fractions_that_a_person_would_write(low: int, high: int) -> None:
    """No binary rounding: 7 percent is 0.07 exactly."""
    if low < high:
        assert read_band(f"{low},{high}") == Band(float(f"{low / 100:.2f}"), float(f"{high / 100:.2f}"))


@pytest.mark.parametrize("form", ["0.2,0.6", "20,60", "20%,60%"])
@pytest.mark.parametrize("place", ["import", "report", "simulate", "run", "taskcal.yaml", "pyproject.toml"])
def test_every_place_of_a_band_reads_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, form: str
) -> None:
    """The option of four commands and the setting of two files."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("task,score\na,1\na,0\n")
    text = {"taskcal.yaml": f"band: {form}\n", "pyproject.toml": f'[tool.taskcal]\nband = "{form}"\n'}
    if place in text:
        Path(place).write_text(text[place])
    typed = ["--band", form] if place == "import" else []
    printed = call("import", "rows.csv", "-o", "out", *typed)
    if place == "report":
        printed = call("report", "out", "--band", form)
    elif place == "simulate":
        printed = call("simulate", "uniform", "-G", "8", "--rule", "none", "--tasks", "2", "--band", form)
    elif place == "run":
        call("init", "first")
        printed = call("run", "first", "-a", "noop", "--dry-run", "--band", form) + "20-60%"
    assert ("20 to 60 %" if place == "simulate" else "(band 20-60%)" if place != "run" else "20-60%") in printed


def test_a_wrong_band_of_a_file_names_the_file(tmp_path: Path) -> None:
    """Not the option; the forms are shown."""
    (tmp_path / "taskcal.yaml").write_text("band: 75,5\n")
    with pytest.raises(InputError, match=r"taskcal.yaml:1: band: 75,5: both ends .* such as 0.05,0.75 or"):
        find_configuration(tmp_path)
    (tmp_path / "taskcal.yaml").write_text("band: [5, 75]\n")
    with pytest.raises(InputError, match=r"taskcal.yaml:1: band: must be text such as 0.05,0.75, not a list"):
        find_configuration(tmp_path)


def call(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0 or not isinstance(result.exception, TaskcalError), result.exception
    assert result.exit_code == 0, result.output
    return result.output
