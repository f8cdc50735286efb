"""Ignore comments, on hand-written diagnostics and comments."""

from __future__ import annotations

import re

import pytest

from leaklint.model.code import Span
from leaklint.model.diagnostic import Diagnostic, Level
from leaklint.model.facts import Comment
from leaklint.policy.silence import Silenced, silence
from leaklint.rules import all_rules


def found(code: str, line: int = 1) -> Diagnostic:
    rule = next(rule for rule in all_rules() if rule.code == code)
    return Diagnostic(
        path="m.py",
        span=Span(line, 1, line, 9),
        code=code,
        name=rule.name,
        level=Level.ERROR,
        message="",
        label="",
        help=None,
        evidence=(),
    )


def comments(text: str) -> list[Comment]:
    """The comments of source in which every statement is one line."""
    lines = text.split("\n")
    made = []
    for number, line in enumerate(lines, start=1):
        place = re.search("#.*", line)
        if place is None:
            continue
        own = not line[: place.start()].strip()
        following = (n for n, other in enumerate(lines, start=1) if n > number and other.split("#")[0].strip())
        statement = next(following, number) if own else number
        span = Span(number, place.start() + 1, number, len(line) + 1)
        made.append(Comment(place[0], span, own_line=own, statement=(statement, statement)))
    return made


def run(text: str, *diagnostics: Diagnostic, off: str = "LK105 LK106") -> tuple[list[str], list[str]]:
    """The `code:line` that are kept and the `line: message` of complaints."""
    silenced = silence(diagnostics, comments(text), enabled=lambda code: code not in off.split())
    return (
        [f"{each.code}:{each.span.line}" for each in silenced.kept],
        [f"{each.span.line}: {each.message}" for each in silenced.complaints],
    )


@pytest.mark.parametrize(
    "comment",
    [
        "# leaklint: ignore[LK101] -- why",
        "# leaklint: ignore[LK101]",
        "# leaklint: ignore [ LK101 , ] -- why -- and why",
        "# leaklint: ignore[lk101]",
        "# leaklint: ignore[dropped-task]",
        "# leaklint: ignore[LK101, dropped-task]",
        "# leaklint: ignore",
        "# leaklint: ignore -- why",
        "#leaklint:ignore--why",
        "# leaklint: ignore[LK101]  # noqa: E501",
        "# leaklint: ignore  # noqa: E501",
        "# noqa: E501  # leaklint: ignore[LK101]",
    ],
)
def test_every_spelling_silences(comment: str) -> None:
    assert run(f"f()  {comment}", found("LK101")) == ([], [])


def test_trailing_comment_covers_its_statement_only() -> None:
    text = "f()\nf()  # leaklint: ignore[LK101]\nf()"
    assert run(text, found("LK101", 1), found("LK101", 2), found("LK101", 3)) == (["LK101:1", "LK101:3"], [])


def test_comment_covers_every_line_of_its_statement() -> None:
    comment = Comment("# leaklint: ignore", Span(4, 9, 4, 27), own_line=False, statement=(2, 4))
    inside = [found("LK101", line) for line in (1, 2, 3, 4, 5)]
    assert [each.span.line for each in silence(inside, [comment], enabled=lambda _: True).kept] == [1, 5]


def test_comment_on_its_own_line_covers_the_next_statement() -> None:
    text = "f()\n# leaklint: ignore[LK101]\n# another comment\n\nf()\nf()"
    assert run(text, found("LK101", 1), found("LK101", 5), found("LK101", 6)) == (["LK101:1", "LK101:6"], [])


def test_file_comment_covers_the_file() -> None:
    text = "f()\n# leaklint: ignore-file[LK101]\nf()"
    assert run(text, found("LK101", 1), found("LK102", 1), found("LK101", 3)) == (["LK102:1"], [])


def test_bare_file_comment_covers_every_rule() -> None:
    assert run("# leaklint: ignore-file -- generated\nf()", found("LK101", 2), found("LK104", 2)) == ([], [])


def test_other_rules_stay() -> None:
    assert run("f()  # leaklint: ignore[LK101]", found("LK101"), found("LK104")) == (["LK104:1"], [])


def test_no_comment_changes_nothing() -> None:
    given = (found("LK104", 2), found("LK101", 1))
    assert silence(given, comments("f()  # leaklint is great\nf()"), enabled=lambda _: True) == Silenced(given, ())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("f()  # leaklint: ignore[LK104]", "1: `LK104` is ignored, but is not found in this statement"),
        ("f()  # leaklint: ignore[LK101, LK104]", "1: `LK104` is ignored, but is not found in this statement"),
        ("# leaklint: ignore-file[leaky-path]\nf()", "1: `LK104` is ignored, but is not found in this file"),
    ],
)
def test_unused_codes(text: str, complaint: str) -> None:
    kept, complaints = run(text, found("LK101"))
    assert (kept, complaints) == ([] if "LK101" in text else ["LK101:1"], [complaint])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("f()  # leaklint: ignore", "1: every rule is ignored, but none finds anything in this statement"),
        ("# leaklint: ignore-file", "1: every rule is ignored, but none finds anything in this file"),
    ],
)
def test_unused_bare_comments(text: str, complaint: str) -> None:
    assert run(text) == ([], [complaint])


@pytest.mark.parametrize("text", ["f()  # leaklint: ignore[LK106]", "# leaklint: ignore-file[ungrouped-task]"])
def test_rule_that_does_not_run_makes_nothing_unused(text: str) -> None:
    assert run(text) == ([], [])
    assert len(run(text, off="")[1]) == 1


def test_bare_comment_that_silences_a_rule_which_does_not_run_is_used() -> None:
    assert run("f()  # leaklint: ignore", found("LK106")) == ([], [])


@pytest.mark.parametrize(
    ("comment", "complaint"),
    [
        ("# leaklint: ingore[LK101]", "unknown comment `leaklint: ingore`, did you mean `ignore`?"),
        ("# leaklint: IGNORE[LK101]", "unknown comment `leaklint: IGNORE`, did you mean `ignore`?"),
        ("# leaklint: ignore: LK101", "unknown comment `leaklint: ignore:`, did you mean `ignore`?"),
        ("# leaklint: ignorefile[LK101]", "unknown comment `leaklint: ignorefile`, did you mean `ignore-file`?"),
        ("# leaklint: xyzzy", "unknown comment `leaklint: xyzzy`"),
        ("# leaklint:", "this `leaklint:` comment says nothing"),
        ("# leaklint: [LK101]", "this `leaklint:` comment says nothing"),
        ("# leaklint: ignore[LK101", "the bracket after `ignore` is not closed"),
        ("# leaklint: ignore[]", "the brackets after `ignore` name no rule"),
        ("# leaklint: ignore[ , ]", "the brackets after `ignore` name no rule"),
        (
            "# leaklint: ignore[LK101] because it ends",
            "`because` is not understood: rules stand in brackets, a reason follows `--`",
        ),
        (
            "# leaklint: ignore LK101",
            "`LK101` is not understood: rules stand in brackets, a reason follows `--`",
        ),
        ("# leaklint: ignore-file[LK101]", "`ignore-file` does not stand on a line of its own"),
        ("# leaklint: ignore[LK11]", "unknown rule `LK11`, did you mean `LK101`?"),
        ("# leaklint: ignore[droped-task]", "unknown rule `droped-task`, did you mean `dropped-task`?"),
        ("# leaklint: ignore[E501]", "unknown rule `E501`"),
    ],
)
def test_comment_that_is_not_understood_silences_nothing(comment: str, complaint: str) -> None:
    assert run(f"f()  {comment}", found("LK101")) == (["LK101:1"], [f"1: {complaint}"])


def test_unknown_rule_beside_a_known_one() -> None:
    assert run("f()  # leaklint: ignore[LK101, LK1O4]", found("LK101")) == (
        [],
        ["1: unknown rule `LK1O4`, did you mean `LK104`?"],
    )


@pytest.mark.parametrize(
    "text",
    [
        "f()  # leaklint: ignore[LK104, LK002]",
        "# leaklint: ignore[LK104, LK002]\nf()",
        "f()  # leaklint: ignore[LK104]\n# leaklint: ignore-file[LK002]",
        "# leaklint: ignore[unused-suppression]\nf()  # leaklint: ignore[LK999]",
    ],
)
def test_complaints_are_silenced_by_name(text: str) -> None:
    assert run(text) == ([], [])


def test_bare_comment_does_not_silence_complaints() -> None:
    assert run("f()  # leaklint: ignore[LK104]\n# leaklint: ignore-file", found("LK101")) == (
        [],
        ["1: `LK104` is ignored, but is not found in this statement"],
    )


def test_silence_for_complaints_can_be_unused_itself() -> None:
    text = "f()  # leaklint: ignore[LK002]"
    assert run(text) == ([], ["1: `LK002` is ignored, but is not found in this statement"])
    assert run(text, off="LK002") == ([], [])


@pytest.mark.parametrize(
    "comment", ["# noqa: RUF006", "# noqa: ASYNC300", "# NOSONAR", "# noqa", "# noqa: LK101", "# ruff: ignore[RUF006]"]
)
def test_comments_for_other_linters_silence_and_are_never_reported(comment: str) -> None:
    text = f"f()  {comment}"
    assert run(text, found("LK101")) == ([], [])
    assert run(text, found("LK102")) == (["LK102:1"], [])
    assert run(text, off="") == ([], [])
    kept = silence([found("LK101")], comments(text), enabled=lambda _: True, honor_noqa=False)
    assert kept == Silenced((found("LK101"),), ())


@pytest.mark.parametrize("text", ["f()  # leaklint: ignore[LK101]  # noqa: RUF006", "f()  # noqa  # leaklint: ignore"])
def test_comment_beside_one_for_another_linter_is_used(text: str) -> None:
    assert run(text, found("LK101")) == ([], [])
    complaint = "`LK101` is ignored, but is" if "[" in text else "every rule is ignored, but none"
    assert [each.startswith(f"1: {complaint}") for each in run(text)[1]] == [True]


def test_complaint_about_a_comment_that_follows_another() -> None:
    (complaint,) = silence(
        [], comments("f()  # noqa: E501 # leaklint: ignore[LK101]"), enabled=lambda _: True
    ).complaints
    assert complaint.span == Span(1, 19, 1, 44)
    assert run("# noqa  # leaklint: ignore-file[LK101]\nf()", found("LK101", 2)) == ([], [])


def test_complaints_stand_in_source_order_with_help() -> None:
    text = "f()  # leaklint: ignore[LK101, LK104]\nf()  # leaklint: ignore[LK101]\nf()  # leaklint: ignore[LK9999]"
    complaints = silence([], comments(text), enabled=lambda _: True).complaints
    assert [(each.span.line, each.help) for each in complaints] == [
        (1, "take `LK101` out of the brackets"),
        (1, "take `LK104` out of the brackets"),
        (2, "remove the comment"),
        (3, "`leaklint rule --all` lists the rules"),
    ]
