"""Radio buttons for a guess: they say what was chosen, and show all options where there is no kernel."""

import ipywidgets
import pytest

from ddpm_lib.course.predict import guess


def test_a_prediction_says_what_was_chosen_and_nothing_of_the_answer():
    asked = guess("it grows", "it <b>stays</b>")
    assert asked.choice.value is None
    assert "Choose one." in asked.echo.value
    asked.choice.value = "it <b>stays</b>"
    assert "You say: <b>it &lt;b&gt;stays&lt;/b&gt;</b>." in asked.echo.value
    assert "aria-live" in asked.echo.value


@pytest.mark.skipif(not hasattr(ipywidgets.Widget, "_repr_mimebundle_"), reason="ipywidgets 7 writes the text itself")
def test_a_page_without_a_kernel_shows_a_predictions_options_whole():
    options = ["a" * 60, "b" * 60, "c" * 60]
    assert guess(*options)._repr_mimebundle_()["text/plain"] == "\n".join(f"○ {option}" for option in options)


@pytest.mark.parametrize("options", [(), ("one",), ("one", ""), ("one", 2), (["one", "two"],)])
def test_a_prediction_needs_texts_to_choose_from(options):
    with pytest.raises(ValueError, match="texts"):
        guess(*options)
