// Buttons that copy a text which the page shows: they are there only where scripts run, and say that they have done it.
const SHOWN_MS = 2000;

async function write(source) {
  if (navigator.clipboard) return navigator.clipboard.writeText(source.textContent);
  // Over plain HTTP from another machine, a browser has no clipboard but what is selected.
  const range = document.createRange();
  range.selectNodeContents(source);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  if (!document.execCommand("copy")) throw new Error("nothing was copied");
  selection.removeAllRanges();
}

async function copy(button) {
  const before = (button.dataset.before ??= button.textContent);
  let did = button.dataset.copied;
  try {
    await write(document.getElementById(button.dataset.copy));
  } catch {
    did = button.dataset.failed;
  }
  button.textContent = did;
  document.getElementById("said").textContent = did;
  setTimeout(() => {
    button.textContent = before;
    document.getElementById("said").textContent = "";
  }, SHOWN_MS);
}

function show(within) {
  for (const button of within.querySelectorAll("button[data-copy]")) button.hidden = false;
}

export function copyButtons() {
  show(document);
  document.addEventListener("part", (event) => show(event.detail));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });
}
