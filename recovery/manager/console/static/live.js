// Keeps what is marked `data-live` up to date: the page is fetched again, and each such part is replaced by its new self.
const RETRY_S = 5;

function announce(why) {
  // `why` is a word of the note's data: silent, refused or ended. Without one, what is shown is that of now.
  const note = document.getElementById("stale");
  const made = new Date(Number(document.body.dataset.made));
  const says = why ? `${note.dataset[why]} ${made.toLocaleTimeString(document.documentElement.lang)}` : "";
  if (note.textContent !== says) note.textContent = says;
  note.hidden = !why;
}

async function refresh() {
  let answer;
  try {
    answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
  } catch {
    return announce("silent");
  }
  if (answer.redirected || answer.status === 401) return announce("ended");
  if (!answer.ok) return announce("refused");
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.body.dataset.made = fresh.body.dataset.made;
  announce();
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (other && !part.contains(document.activeElement) && other.innerHTML !== part.innerHTML) part.replaceWith(other);
  }
}

function follow(address) {
  // An operation says each change; the page shows it at once.
  const source = new EventSource(address);
  let wanted = false;
  const later = async () => {
    if (wanted) return;
    wanted = true;
    await new Promise((done) => setTimeout(done, 300));
    wanted = false;
    await refresh();
  };
  source.addEventListener("operation", async (event) => {
    await later();
    if (JSON.parse(event.data).ended_at !== null) source.close();
  });
  source.addEventListener("error", () => source.readyState === EventSource.CLOSED && refresh());
}

export function live() {
  const every = document.querySelector("[data-every]");
  if (every) {
    const wait = Number(every.dataset.every) || RETRY_S;
    setInterval(() => document.visibilityState === "visible" && refresh(), wait * 1000);
  }
  const events = document.querySelector("[data-events]");
  if (events) follow(events.dataset.events);
}
