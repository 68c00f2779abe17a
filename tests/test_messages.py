"""Parts of messages."""

from mlproject.architectures import make_spec, protocol_name
from mlproject.system.messages import MOST_NOTES, FirstNotes, quantity


def test_a_quantity_has_its_noun_in_the_singular_for_one_only() -> None:
    assert [quantity(count, "run") for count in (0, 1, 25_000)] == [
        "0 runs",
        "1 run",
        "25,000 runs",
    ]
    assert [quantity(n, "row is", "rows are") for n in (1, 2)] == ["1 row is", "2 rows are"]
    assert protocol_name(make_spec({"epochs": 1})) == "released, 1 epoch"


def test_the_first_notes_are_passed_on_and_the_rest_counted() -> None:
    passed: list[str] = []
    first = FirstNotes(passed.append)
    assert first.more == 0
    for number in range(MOST_NOTES + 3):
        first(str(number))
    assert passed == [str(number) for number in range(MOST_NOTES)]
    assert (first.count, first.more) == (MOST_NOTES + 3, 3)
