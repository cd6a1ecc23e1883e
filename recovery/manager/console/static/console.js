// What a page does beyond HTML. Without it, everything works by links and forms.
import { copyButtons } from "./copy.js";
import { keys } from "./keys.js";
import { live } from "./live.js";
import { parts } from "./parts.js";
import { query } from "./query.js";

const PATIENCE_S = 10;
const YEAR_S = 365 * 86400;
const MOMENT_MS = 400;

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

function loading() {
  // Whoever has waited for a moment is told that something is under way; a file that is saved leaves the page as it is.
  const note = document.getElementById("loading");
  let timer = 0;
  let isSaving = false;
  const over = () => {
    clearTimeout(timer);
    note.hidden = true;
    note.textContent = "";
  };
  document.addEventListener("click", (event) => {
    over();
    isSaving = event.target.closest("a[rel=nofollow]") !== null;
  });
  window.addEventListener("beforeunload", () => {
    if (isSaving) return;
    timer = setTimeout(() => {
      note.hidden = false;
      note.textContent = note.dataset.text;
    }, MOMENT_MS);
  });
  window.addEventListener("pageshow", over);
  document.addEventListener("keydown", (event) => event.key === "Escape" && over());
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
loading();
selection();
keys();
live();
parts();
query();
