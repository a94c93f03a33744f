"""Numbers in answers: the forms that models write are read, and nothing that may mean another number is paid."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.grading.answer_number import NoNumber, final_text, is_near, read_number

FORTY_TWO = [
    r"\boxed{x = 42}", r"$x=42$", "**Final Answer**\n\n\\[\n\\boxed{42}\n\\]", "```\nAnswer: 42\n```",
    "42", " 42\n", "+42", "42.", "42.0", "042", "4.2e1", "**42**", "__42__", "*42*", "`42`", '"42"', "**42.**",
    "**42**.", "$42$", "$$42$$", r"\(42\)", r"\[ 42 \]", r"\boxed{42}", r"$\boxed{42}$", r"\boxed{\text{42}}", "$42",
    r"\$42", "42 €", "```\n42\n```", "```text\n42\n```", "<answer>42</answer>", "<answer> 42 </answer>\n",
    "Answer: 42", "answer = 42", "The answer is 42.", "The final answer is: 42", "Final answer: **42**",
    "**Answer:** 42", "**Final Answer: 42**", "### Answer\n42", "Answer:\n\n42", "> Answer: 42",
    "So the answer is 42.", "#### 42", "6 times 7 is 42.\n#### 42", "I get 41, no, 42.\n\nAnswer: 42",
    "Answer: 42\n\nAsk if anything is unclear!", r"First 6, then 7, so $$\boxed{42}$$.",
    r"The final answer is $\boxed{42}$.", "There are 3 parts.\n<answer>42</answer>", "The total is 42.",
    "The sum of all rows is **42**.", "total = 42", "x = 42", "Total: 42", "I counted the rows.\nThe total is 42",
    "<think>40? 41? 43?</think>42", "<think>\n41\n</think>\n\nThe total is 42.", "41</think>42",
    "Here is the number of errors:\n\n42", "I counted them with awk.\n\n**42**", "The number is\n42",
    r"\boxed{\textbf{42}}", r"$\mathrm{42}$", "- Total: 42", "The total over all files is 42.", "Errors in May: 42",
    "The maximum is 42.", "<thinking>1</thinking>**42**",
    "The answer is 42.\n", "\N{ARABIC-INDIC DIGIT FOUR}\N{ARABIC-INDIC DIGIT TWO}",
]  # fmt: skip
NOT_ONE_NUMBER = [
    "Approximately: 42", "Roughly = 42", "Perhaps the total is 42.", "The total may be: 42", "The total is around: 42",
    "At least: 42", "At most = 42", "Up to: 42", "Nearly: 42", "More than: 42", "x =/= 42", "-x = 42", "x^2 = 42",
    "x\N{SUPERSCRIPT TWO} = 42", "sqrt(x) = 42", "The answer in binary is 42", "in hex: 42", "x >=\n42",
    "It is not\n42", "It is about\n\n42", "Line 7 is empty.\n42", "In thousands\n42", "One of these:\n- 42",
    "The total in thousands is 42", "Answer: 42\n(in millions)", r"\boxed{42} percent", r"\boxed{42\%}",
    "x == 42", "x >= 42", "x <= 42", "x != 42",
    "It is false that the total is 42.", "Half of the total is 42", "Suppose x = 42", "The answer plus one is 42.",
    "", " ", ".", "-", "$", "nan", "inf", "infinity", "1e999", "0x2A", "forty-two", "about 42", "~42", "~~42~~",
    "42?", "42 apples", "42 km", "42k", "42M", "42 thousand", "The total is 42 million.", "42%", "42 %", r"42\%",
    "42nd", "x42", "v4.2", "42 or 43", "41, 42", "41\n42", "41-42", "between 41 and 42", "42 43", "(42)", "[42]",
    "- 42", "\N{EN DASH} 42", "--42", "4*2", "**4**2", "4 2", "4_2", "1/42", "42/1", "6*7", "6 x 7",
    "10\N{SUPERSCRIPT TWO}", "4\N{SUPERSCRIPT TWO}", "\N{VULGAR FRACTION ONE HALF}", "It is not 42",
    "It is at most 42", "It is less than 42.", "The answer isn't 42.", "I do not know whether it is 42.",
    "It would be wrong if the total is 42.", "The answer is not 42.", "Answer: about 42", "Answer: 42 (rounded)",
    "Answer: 42 apples", "Answer: 42\nAnswer: 43", r"\boxed{42} or \boxed{43}", r"\boxed{42} was my guess. It is 43.",
    "Answer: 42. No, 43.", "Answer: 42\nOn a second look it is 43.", "<answer>42</answer><answer>43</answer>",
    r"Answer: 41 and then \boxed{}", "Step 1 is done.\nThe total is 42.", "Time: 12:42", "The ratio is 1:42",
    "2024-01-42", "<think>42", "<think>42</think>", "The total is 42.\nOr is it 43?", "1,5", "0,125", "1,50,0",
    "1234,567", "1.234,567", "1 234", "1,234_567",
]  # fmt: skip


@pytest.mark.parametrize("answer", FORTY_TWO)
def test_the_forms_that_models_write_are_read(answer: str) -> None:
    """Markdown, LaTeX, code fences, currency, labels, one plain sentence, and the text after the thoughts."""
    assert read_number(final_text(answer)) == 42


@pytest.mark.parametrize("answer", NOT_ONE_NUMBER)
def test_what_may_mean_another_number_is_refused_with_a_reason(answer: str) -> None:
    """Units, percentages, ranges, hedges, lists, products, two answers, and thoughts without an answer."""
    with pytest.raises(NoNumber) as caught:
        read_number(final_text(answer))
    assert str(caught.value)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("$1,234.50", "1234.5"),
        ("1_000_000", "1000000"),
        ("-1,234,567", "-1234567"),
        ("€ 1,000.", "1000"),
        ("1\N{NO-BREAK SPACE}234", "1234"),
        ("1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567", "1234567"),
        ("1'234", "1234"),
        (r"1{,}234", "1234"),
        (r"\boxed{1\,234}", "1234"),
        (".5", "0.5"),
        ("1.5e3", "1500"),
        ("12.", "12"),
        ("-3", "-3"),
        ("\N{MINUS SIGN}3", "-3"),
        ("\N{EN DASH}3", "-3"),
        ("-$3", "-3"),
        ("$-3", "-3"),
        ("The balance is -3.", "-3"),
    ],
)
def test_signs_and_separators_are_read(answer: str, number: str) -> None:
    """Thousands in groups of three with one kind of separator, any minus, currency on either side of it."""
    assert read_number(answer) == Decimal(number)


@pytest.mark.parametrize(
    ("found", "wanted", "tolerance", "near"),
    [
        ("42.5", 42, 0.5, True),
        ("42.51", 42, 0.5, False),
        ("0.4", 0.3, 0.1, True),
        ("0.30000000000000004", 0.3, 0, True),
        ("5219.999999999999", 5220, 0, True),
        ("0.0000000001", 0, 0, False),
        ("5e-17", 0, 0, True),
        ("0", 1e-10, 0, False),
        ("1e-10", 1e-10, 0, True),
        ("10000000001", 10_000_000_000, 0, False),
        ("12345678901234568", 12_345_678_901_234_567, 0, False),
        ("12345678901234567", 12_345_678_901_234_567, 0, True),
        ("1e308", 1e308, 0, True),
        ("9" * 300, 10**300, 0, False),
    ],
)
def test_a_neighbour_is_not_the_number(found: str, wanted: float, tolerance: float, *, near: bool) -> None:
    """Rounding is forgiven; another whole number, however large, and 0 for a tiny number are not."""
    assert is_near(Decimal(found), wanted, tolerance) == near


WRONG = st.integers(-(10**20), 10**20)
DECORATIONS = ["{}", "**{}**", "${}$", "Answer: {}", "The total is {}.", r"\boxed{{{}}}", "<think>{other}</think>{}"]


@given(stated=WRONG, wanted=WRONG, form=st.sampled_from(DECORATIONS))
def test_a_wrong_number_is_never_paid_in_any_form(stated: int, wanted: int, form: str) -> None:
    """A decoration changes neither which number is read nor its sign."""
    found = read_number(final_text(form.format(stated, other=wanted)))
    assert found == stated
    assert is_near(found, wanted, 0) == (stated == wanted)


@given(before=st.text(max_size=30), after=st.text(max_size=30), wanted=st.integers(0, 99))
def test_two_different_numbers_are_never_one_answer(before: str, after: str, wanted: int) -> None:
    """Whatever stands around them, a message with the right number and another one after it earns nothing."""
    text = f"{before} {wanted} {after} {wanted + 100}"
    try:
        assert read_number(final_text(text)) != wanted
    except NoNumber as error:
        assert str(error)  # noqa: PT017  # refused, the usual end


@pytest.mark.parametrize("piece", ["\\boxed{", "\n", "answer\n", "<think>", "*_`", "$", "1,", "is ", "####\n", "9"])
def test_a_hostile_answer_is_judged_in_linear_time(piece: str) -> None:
    """A mebibyte of the marks that are searched for ends in a reason, without a search that explodes."""
    with pytest.raises(NoNumber):
        read_number(final_text(piece * (1024**2 // len(piece))))
