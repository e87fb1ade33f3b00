"""What `mlp update` says about the releases between two versions."""

from platform_lib.updates.changes import summarise

CHANGELOG = """\
# Changelog

Changes that users notice.

## Unreleased

### Added

- Not released yet.

## [0.3.0] - 2027-01-02

### Added

- `mlp train` is faster, by half. It took 4 s.
- A metric,
  over two lines. More about it.

### Upgrade notes

- Rename `seed` to `random_seed`. Old files
  are refused.

## 0.2.0

- Something small

## 0.1.0

- The start.
"""


def test_each_release_after_the_old_one_has_its_notes_and_first_sentences() -> None:
    assert summarise(CHANGELOG, (0, 1, 0), (0, 3, 0)) == [
        "0.3.0:",
        "  Upgrade note: Rename `seed` to `random_seed`. Old files are refused.",
        "  `mlp train` is faster, by half.",
        "  A metric, over two lines.",
        "0.2.0:",
        "  Something small",
    ]


def test_later_releases_are_left_out() -> None:
    assert summarise(CHANGELOG, (0, 1, 0), (0, 2, 0)) == ["0.2.0:", "  Something small"]


def test_a_long_list_is_cut_and_says_so() -> None:
    changelog = "## 0.2.0\n\n" + "".join(f"- Change {number}.\n" for number in range(50))
    lines = summarise(changelog, (0, 1, 0), (0, 2, 0))
    assert len(lines) == 41
    assert lines[-1] == "… and 11 more in CHANGELOG.md."


def test_a_changelog_without_releases_says_nothing() -> None:
    assert summarise("# Changelog\n\n## Unreleased\n\n- New.\n", (0, 1, 0), (0, 2, 0)) == []
