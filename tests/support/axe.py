"""axe at a page that is open in a browser: its rules for WCAG and for good practice, and what breaks them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from axe_playwright_python.base import AXE_SCRIPT

if TYPE_CHECKING:
    from playwright.sync_api import Page

COLOUR_RULES = ("color-contrast", "link-in-text-block")
"""What depends on the colour scheme; everything else is the same in each."""
_RUN = """async (only) => {
  const options = {resultTypes: ['violations'], elementRef: false, preload: false};
  if (only) options.runOnly = {type: 'rule', values: only};
  const found = await axe.run(options);
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

    def violations(self, page: "Page", *, only: Sequence[str] = ()) -> list[str]:
        """What is wrong with a page as it is shown now: the rule, the element, and how to correct it. `only`: by these rules."""
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE_SCRIPT)
        found: dict[str, Any] = page.evaluate(_RUN, list(only) or None)
        self.looks += 1
        self.rules |= set(found["rules"])
        return list(found["violations"])
