"""Adds up JUnit reports: one line for each, then `N passed, N failed[, N skipped]`.

    count.py NAME=REPORT ...: a report that cannot be read counts as one failure.
    Exit 1 where a test failed, or where no test ran.
"""

import sys
import xml.etree.ElementTree


def count(report: str) -> tuple[int, int, int]:
    """Passed, failed and skipped in one report."""
    passed = failed = skipped = 0
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        tags = {child.tag for child in case}
        if tags & {"failure", "error"}:
            failed += 1
        elif "skipped" in tags:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def closing_line(passed: int, failed: int, skipped: int) -> str:
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def main() -> int:
    total = (0, 0, 0)
    for argument in sys.argv[1:]:
        name, report = argument.split("=", 1)
        try:
            counts = count(report)
        except (OSError, xml.etree.ElementTree.ParseError):
            print(f"{name}: no report: the build or the run failed")
            counts = (0, 1, 0)
        print(f"{name}: {closing_line(*counts)}")
        total = tuple(map(sum, zip(total, counts)))
    print(closing_line(*total))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
