// The keyboard: / filter, j and k rows, x select, Enter open, ? help.
const ROWS = "tr[data-row]";

function go(step) {
  const rows = [...document.querySelectorAll(ROWS)];
  if (rows.length === 0) return;
  const now = rows.findIndex((row) => row.getAttribute("aria-current") === "true");
  const next = Math.min(rows.length - 1, Math.max(0, now + step));
  for (const row of rows) row.removeAttribute("aria-current");
  rows[next].setAttribute("aria-current", "true");
  (rows[next].querySelector("a") || rows[next]).focus();
  rows[next].scrollIntoView({ block: "nearest" });
}

function select() {
  const box = document.querySelector(`${ROWS}[aria-current="true"] input[type="checkbox"]`);
  if (box) box.click();
}

const ACTIONS = {
  "/": () => document.getElementById("q")?.focus(),
  j: () => go(1),
  k: () => go(-1),
  x: select,
  "?": () => document.getElementById("keys").showModal(),
};

export function keys() {
  const button = document.getElementById("keys-button");
  button.hidden = false;
  button.addEventListener("click", ACTIONS["?"]);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type='checkbox']), textarea, select, dialog");
    if (event.key === "Escape" && typing && typing.tagName === "INPUT") typing.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in ACTIONS)) return;
    event.preventDefault();
    ACTIONS[event.key]();
  });
}
