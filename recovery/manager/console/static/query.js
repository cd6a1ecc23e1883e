// Completes the word of a filter that is being typed: its name, then its value. The offers are those of the box's datalist,
// which browsers themselves can make for a whole box only. The pattern is ARIA's combobox with a list (WAI-ARIA APG).
const MOST = 20;

function wordAt(text, caret) {
  // Where the word under the caret begins and ends; null within quotes.
  if ((text.slice(0, caret).replace(/\\./g, "").match(/"/g) || []).length % 2) return null;
  const start = text.lastIndexOf(" ", caret - 1) + 1;
  const found = text.indexOf(" ", caret);
  return { start, end: found < 0 ? text.length : found, typed: text.slice(start, caret) };
}

function matching(offers, lists, typed) {
  // Names until there is a colon, then values; of a list, values that it does not have, behind its last comma.
  const [name, given] = [typed.slice(0, typed.indexOf(":") + 1), typed.slice(typed.indexOf(":") + 1)];
  if (!name) return offers.filter((one) => one.text.endsWith(":") && one.text.startsWith(typed.toLowerCase()));
  const before = lists.includes(name.slice(0, -1)) ? given.slice(0, given.lastIndexOf(",") + 1) : "";
  const had = before.split(",");
  const rest = given.slice(before.length).toLowerCase();
  return offers
    .filter((one) => one.text.startsWith(name) && one.text !== name)
    .map((one) => one.text.slice(name.length))
    .filter((value) => value.toLowerCase().startsWith(rest) && !had.includes(value))
    .map((value) => ({ text: name + before + value, label: "", shown: value }));
}

class Completion {
  constructor(input, datalist) {
    this.input = input;
    this.offers = [...datalist.options].map((one) => ({ text: one.value, label: one.label === one.value ? "" : one.label }));
    this.lists = datalist.dataset.lists.split(" ");
    this.at = -1;
    input.removeAttribute("list");
    this.list = document.createElement("ul");
    Object.assign(this.list, { id: "completions", className: "offers", hidden: true, role: "listbox" });
    this.list.setAttribute("aria-label", datalist.dataset.label);
    input.after(this.list);
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", "completions"], ["aria-expanded", "false"]]) {
      input.setAttribute(name, value);
    }
    input.addEventListener("input", () => this.show());
    input.addEventListener("keydown", (event) => this.press(event));
    input.addEventListener("blur", () => this.hide());
    this.list.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const option = event.target.closest("li");
      if (option) this.choose([...this.list.children].indexOf(option));
    });
  }

  show() {
    this.word = wordAt(this.input.value, this.input.selectionStart);
    this.found = this.word ? matching(this.offers, this.lists, this.word.typed).slice(0, MOST) : [];
    if (this.found.length === 1 && this.found[0].text === this.word.typed) this.found = [];
    this.list.replaceChildren(...this.found.map(option));
    this.list.hidden = this.found.length === 0;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.mark(-1);
  }

  hide() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.mark(-1);
  }

  mark(at) {
    this.at = at;
    [...this.list.children].forEach((one, place) => one.setAttribute("aria-selected", String(place === at)));
    if (at < 0) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", this.list.children[at].id);
    this.list.children[at].scrollIntoView({ block: "nearest" });
  }

  choose(at) {
    const { start, end } = this.word;
    const text = this.found[at].text;
    const isName = text.endsWith(":");
    const rest = this.input.value.slice(end).trimStart();
    this.input.value = this.input.value.slice(0, start) + text + (isName ? "" : " ") + (isName && rest ? ` ${rest}` : rest);
    const caret = start + text.length + (isName ? 0 : 1);
    this.input.setSelectionRange(caret, caret);
    if (isName) this.show();
    else this.hide();
  }

  press(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const isOpen = !this.list.hidden;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      if (!isOpen) this.show();
      if (this.found.length) this.mark((this.at + step + (this.at < 0 && step < 0 ? 1 : 0) + this.found.length) % this.found.length);
    } else if (event.key === "Enter" && isOpen && this.at >= 0) {
      this.choose(this.at);
    } else if (event.key === "Escape" && isOpen) {
      this.hide();
      event.stopPropagation();
    } else {
      return;
    }
    event.preventDefault();
  }
}

function option(offer, place) {
  const made = document.createElement("li");
  Object.assign(made, { id: `completion-${place}`, role: "option" });
  const code = document.createElement("code");
  code.textContent = offer.shown || offer.text;
  made.append(code, ` ${offer.label}`);
  return made;
}

export function query() {
  const datalist = document.getElementById("offers");
  if (datalist) new Completion(document.getElementById("q"), datalist);
}
