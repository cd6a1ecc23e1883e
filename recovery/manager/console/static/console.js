// What a page does beyond HTML. Without it, everything works by links and forms.
import { copyButtons } from "./copy.js";
import { keys } from "./keys.js";
import { live } from "./live.js";
import { parts } from "./parts.js";
import { query } from "./query.js";

const PATIENCE_S = 10;
const YEAR_S = 365 * 86400;

function zone() {
  // The server writes times in the reader's zone once it knows it; the first page is loaded again.
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  if (name === document.body.dataset.zone || sessionStorage.getItem("zone") === name) return;
  sessionStorage.setItem("zone", name);
  document.cookie = `console-zone=${name}; path=/; max-age=${YEAR_S}; samesite=lax`;
  // What answers a form would be sent again.
  if (document.body.dataset.here === location.pathname + location.search) location.reload();
}

function busyForms() {
  // A second press would ask for the same again, and might be told that it was done already.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-busy", "true");
    setTimeout(() => ready(form), PATIENCE_S * 1000);
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(ready));
}

function ready(form) {
  delete form.dataset.sent;
  for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
}

function selection() {
  // "These 7 selected": counted while boxes are ticked, and all of the page at once.
  const all = document.querySelector("input[data-all]");
  const count = () => {
    const ticked = document.querySelectorAll("input[name='id']:checked").length;
    for (const one of document.querySelectorAll("[data-selected]")) one.textContent = ticked.toLocaleString(document.documentElement.lang);
  };
  document.addEventListener("change", (event) => {
    if (event.target === all) {
      for (const box of document.querySelectorAll("input[name='id']")) box.checked = all.checked;
    }
    count();
  });
  if (all) all.closest("th").hidden = all.hidden = false;
  for (const one of document.querySelectorAll("[data-selected-count]")) one.hidden = false;
  count();
}

zone();
copyButtons();
busyForms();
selection();
keys();
live();
parts();
query();
