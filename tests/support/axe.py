"""axe at a page that is open in a browser: its rules for WCAG and for good practice, and what breaks them."""

from typing import TYPE_CHECKING, Any

from axe_playwright_python.base import AXE_SCRIPT

if TYPE_CHECKING:
    from playwright.sync_api import Page

_RUN = """async () => {
  const found = await axe.run({resultTypes: ['violations'], elementRef: false});
  return {
    violations: found.violations.flatMap((rule) =>
      rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)}: ${node.failureSummary}`)),
    rules: found.violations.concat(found.passes, found.incomplete, found.inapplicable).map((rule) => rule.id),
  };
}"""


class Inspector:
    """Runs axe at pages, and counts what it has checked."""

    def __init__(self) -> None:
        self.looks = 0
        """How many times a page was looked at."""
        self.rules: set[str] = set()
        """Of each rule that was applied, its name."""

    def violations(self, page: "Page") -> list[str]:
        """What is wrong with a page as it is shown now: the rule, the element, and how to correct it."""
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE_SCRIPT)
        found: dict[str, Any] = page.evaluate(_RUN)
        self.looks += 1
        self.rules |= set(found["rules"])
        return list(found["violations"])
