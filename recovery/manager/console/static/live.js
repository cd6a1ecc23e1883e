// Keeps what is marked `data-live` up to date: the page is fetched again, and each such part is replaced by its new self.
const RETRY_S = 5;
const SOON_MS = 300, GAP_MS = 2000;
const TYPING = "input, textarea, select";

function announce(why) {
  // `why` is a word of the note's data: silent, refused or ended. Without one, what is shown is that of now.
  const note = document.getElementById("stale");
  const made = new Date(Number(document.body.dataset.made));
  const says = why ? `${note.dataset[why]} ${made.toLocaleTimeString(document.documentElement.lang)}` : "";
  if (note.textContent !== says) note.textContent = says;
  note.hidden = !why;
}

function isInUse(part) {
  // Somebody types in it, has typed what is not sent yet, or has marked some of its text.
  const typed = [...part.querySelectorAll("input, textarea")].some((one) => one.value !== one.defaultValue);
  const marked = getSelection();
  return typed || (part.contains(document.activeElement) && document.activeElement.matches(TYPING))
    || (!marked.isCollapsed && marked.containsNode(part, true));
}

function sameIn(part, element) {
  // What does the same in another version of the page; an address may have another moment in it by then.
  const name = ["href", "name", "value"].filter((one) => element.hasAttribute(one));
  const wanted = name.map((one) => `[${one}="${CSS.escape(element.getAttribute(one))}"]`).join("");
  return (name.length > 0 && part.querySelector(element.tagName + wanted))
    || [...part.querySelectorAll(element.tagName)].find((one) => one.textContent === element.textContent);
}

function replace(part, other) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const row = part.querySelector('[aria-current="true"] a');
  const open = [...part.querySelectorAll("details")].map((one) => one.open);
  part.replaceWith(other);
  for (const [place, one] of [...other.querySelectorAll("details")].entries()) one.open ||= open[place] ?? false;
  if (row) sameIn(other, row)?.closest("[data-row]")?.setAttribute("aria-current", "true");
  if (focused === null) return;
  const target = sameIn(other, focused) || other;
  if (target === other) other.tabIndex = -1;
  target.focus({ preventScroll: true });
}

async function refresh() {
  let answer;
  try {
    answer = await fetch(document.body.dataset.here, { headers: { Accept: "text/html" }, cache: "no-store" });
  } catch {
    return announce("silent");
  }
  if (answer.redirected || answer.status === 401) return announce("ended");
  if (!answer.ok) return announce("refused");
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  announce();
  if (Number(fresh.body.dataset.made) < Number(document.body.dataset.made)) return; // overtaken by a later answer
  document.body.dataset.made = fresh.body.dataset.made;
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (other && other.innerHTML !== part.innerHTML && !isInUse(part)) replace(part, other);
  }
}

function poll(seconds) {
  return setInterval(() => document.visibilityState === "visible" && refresh(), seconds * 1000);
}

function untilEnded() {
  // The page of an operation that has ended names no events any more; until that is seen, it is asked for.
  const timer = setInterval(() => {
    if (document.querySelector("[data-events]") === null) clearInterval(timer);
    else if (document.visibilityState === "visible") refresh();
  }, RETRY_S * 1000);
}

function follow(address) {
  // An operation says each change; the page shows another state at once, and progress every GAP_MS: many may look on.
  const source = new EventSource(address);
  let state, wanted = false, last = 0, isCut = false;
  source.addEventListener("operation", async (event) => {
    const operation = JSON.parse(event.data), isOther = operation.state !== state;
    state = operation.state;
    if (operation.ended_at !== null) {
      source.close();
      untilEnded(); // the last refresh may fail
    }
    if (wanted && !isOther) return;
    wanted = true;
    await new Promise((done) => setTimeout(done, isOther ? SOON_MS : Math.max(SOON_MS, last + GAP_MS - Date.now())));
    wanted = false;
    last = Date.now();
    await refresh();
  });
  source.addEventListener("open", () => {
    if (isCut) refresh(); // nothing may have changed meanwhile, and then no event says so
    isCut = false;
  });
  source.addEventListener("error", () => {
    isCut = true;
    refresh();
    if (source.readyState === EventSource.CLOSED) untilEnded(); // any answer but 200 ends it; else it connects again by itself
  });
}

export function live() {
  const every = document.querySelector("[data-every]");
  if (every) poll(Number(every.dataset.every) || RETRY_S);
  const events = document.querySelector("[data-events]");
  if (events) follow(events.dataset.events);
  // A page that the browser has kept is as it was when it was left.
  window.addEventListener("pageshow", (event) => event.persisted && refresh());
}
