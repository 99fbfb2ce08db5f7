from __future__ import annotations

from streams.demo.diff import Placed, compare


def test_entered_left_and_moved_items_are_told_apart() -> None:
    difference = compare(["a", "b", "c", "d"], ["b", "x", "c", "a"])
    assert difference.placed == (Placed("b", 0, 1), Placed("x", 1, None), Placed("c", 2, 2), Placed("a", 3, 0))
    assert difference.left == ("d",)
    assert (difference.entered, difference.moved) == (1, 2)
    assert [item.rose for item in difference.placed] == [1, 0, 0, -3]


def test_same_list_shows_no_change() -> None:
    difference = compare(["a", "b"], ["a", "b"])
    assert (difference.entered, difference.moved, difference.left) == (0, 0, ())


def test_first_list_is_all_new() -> None:
    difference = compare([], ["a", "b"])
    assert (difference.entered, difference.left) == (2, ())


def test_emptied_list_left_whole() -> None:
    assert compare(["a", "b"], []).left == ("a", "b")
