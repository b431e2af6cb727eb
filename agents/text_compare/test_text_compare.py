from agents.text_compare.handler import run

OLD = "Title\nThree ships came in.\nThe sea was calm.\nGoodbye.\n"
NEW = "Title\nFive ships came in.\n\nThe sea   was calm.\nNobody was late at the quay.\n"


def test_changed_added_and_removed_lines() -> None:
    assert run(OLD, NEW).split("\n\n") == [
        "2 of 4 lines are as they were.",
        "Changed:\n- Three ships came in. → Five ships came in.",
        "Added:\n- Nobody was late at the quay.",
        "Removed:\n- Goodbye.",
    ]


def test_equal_texts_have_nothing_to_tell() -> None:
    assert run(OLD, OLD) == "4 of 4 lines are as they were."
