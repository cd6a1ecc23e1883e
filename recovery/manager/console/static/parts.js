// Loads the parts of a page that may take seconds after the page itself, and again when somebody wants to look again.
const PATIENCE_MS = 20000;

function show(part, selector, isShown) {
  for (const one of part.querySelectorAll(selector)) one.hidden = !isShown;
}

async function load(part, isWanted) {
  if (part.getAttribute("aria-busy") === "true") return;
  part.setAttribute("aria-busy", "true");
  show(part, "[data-late]", false);
  show(part, "[data-asking]", true);
  try {
    const answer = await fetch(part.dataset.part, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
    part.replaceChildren(...fresh.childNodes);
    document.getElementById("said").textContent = part.dataset.done;
  } catch {
    show(part, "[data-asking]", false);
    show(part, "[data-late]", true);
    document.getElementById("said").textContent = part.querySelector("[data-late]").textContent;
  }
  part.removeAttribute("aria-busy");
  document.dispatchEvent(new CustomEvent("part", { detail: part }));
  if (isWanted) part.querySelector("[data-again]")?.focus();
}

export function parts() {
  for (const part of document.querySelectorAll("[data-part]:not([data-here])")) load(part, false);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-again]");
    const part = link?.closest("[data-part]");
    if (!part || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    load(part, true);
  });
}
