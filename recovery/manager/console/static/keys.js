// The keyboard: / filter, j and k rows, x select, Enter open, a act, ? help.
const ROWS = "[data-row]";
const CURRENT = `${ROWS}[aria-current="true"]`;
const ACTING = 'main form[method="post"]:not([action$="#message"]) :is(select, button, input:not([type="hidden"]))';
const TYPING = "input:not([type='checkbox']), textarea, select, dialog";

function current(rows) {
  // Where the focus is, if it is in a row: somebody may have gone on with Tab.
  const focused = rows.findIndex((row) => row.contains(document.activeElement));
  return focused >= 0 ? focused : rows.findIndex((row) => row.matches(CURRENT));
}

function go(step) {
  const rows = [...document.querySelectorAll(ROWS)];
  if (rows.length === 0) return;
  const next = rows[Math.min(rows.length - 1, Math.max(0, current(rows) + step))];
  for (const row of rows) row.removeAttribute("aria-current");
  next.setAttribute("aria-current", "true");
  const target = next.matches("a") ? next : next.querySelector("a") || next;
  if (target === next && !next.matches("a")) next.tabIndex = -1;
  target.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function select() {
  const row = document.activeElement.closest(ROWS) || document.querySelector(CURRENT);
  row?.querySelector('input[type="checkbox"]')?.click();
}

function filter() {
  const box = document.getElementById("q") || document.querySelector("main form[role='search'] input");
  box?.focus();
  box?.select();
}

const ACTIONS = {
  "/": filter,
  j: () => go(1),
  k: () => go(-1),
  x: select,
  a: () => [...document.querySelectorAll(ACTING)].find((one) => one.checkVisibility())?.focus(),
  "?": () => document.getElementById("keys").showModal(),
};

export function keys() {
  const button = document.getElementById("keys-button");
  button.hidden = false;
  button.addEventListener("click", ACTIONS["?"]);
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest(TYPING);
    if (event.key === "Escape" && typing?.tagName === "INPUT") typing.blur();
    if (typing || !Object.hasOwn(ACTIONS, event.key)) return;
    event.preventDefault();
    ACTIONS[event.key]();
  });
}
