/**
 * The search box: words, terms as chips, suggestions; it searches while words are typed.
 *
 * @typedef {import("./types.js").Suggestion} Suggestion
 */

import { parse, write } from "./grammar.js";
import { byId, fill, h } from "./dom.js";
import { suggest } from "./api.js";
import { ask, removeTerm } from "./query.js";
import { count } from "./format.js";
import { grid } from "./grid.js";
import { icon } from "./icons.js";
import { shortcuts } from "./keys.js";
import { store } from "./state.js";
import { termChip } from "./chips.js";

const PAUSE = 220; // ms without a key after which words are searched for
const SUGGEST_PAUSE = 120;

const input = byId("words", HTMLInputElement);
const list = byId("suggestions", HTMLUListElement);
const chips = byId("terms", HTMLUListElement);
const clear = byId("clear", HTMLButtonElement);

/** @type {Suggestion[]} */
let suggestions = [];
let chosen = -1;
let typing = 0;
let suggesting = 0;
let asking = new AbortController();
/** Whether the words that are typed have a step of their own in the history. */
let stepped = false;

/** Begin. */
export function startSearchBox() {
  byId("lens", HTMLElement).append(icon("search"));
  clear.append(icon("close"));
  input.addEventListener("input", typed);
  input.addEventListener("keydown", pressed);
  input.addEventListener("blur", () => setTimeout(close, 120));
  byId("search", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    commit();
  });
  clear.addEventListener("click", () => {
    ask({ words: "", terms: [] });
    input.focus();
  });
  store.subscribe(show);
  show();
  shortcuts(
    { keys: ["/", "Mod+k"], label: "Go to the search box", scope: "grid", run: focusSearch },
    { keys: ["Mod+k"], label: "", scope: "grid", typing: true, run: focusSearch },
  );
}

/** Put the caret into the search box. */
export function focusSearch() {
  input.focus();
  input.select();
}

/** Show the state: after Back, or after a chip was changed. */
function show() {
  const { words, terms } = store.state;
  if (input.value.trim() !== words.trim() && !typing) input.value = words;
  clear.hidden = !input.value && !terms.length;
  chips.hidden = !terms.length;
  input.placeholder = terms.length ? "Add words" : "Search your photos";
  fill(chips, terms.map((term) => termChip(term)));
}

function typed() {
  clearTimeout(typing);
  typing = setTimeout(() => search({ replace: stepped }), PAUSE);
  clear.hidden = !input.value && !store.state.terms.length;
  clearTimeout(suggesting);
  suggesting = setTimeout(fetchSuggestions, SUGGEST_PAUSE);
}

/** @param {{replace: boolean}} how */
function search(how) {
  clearTimeout(typing);
  typing = 0;
  if (input.value.trim() === store.state.words.trim()) return;
  stepped = true;
  ask({ words: input.value.trim() }, how);
}

/** Search at once, and turn filters and further terms into chips. */
function commit() {
  clearTimeout(typing);
  typing = 0;
  close();
  const found = parse(input.value);
  const { terms, filters } = store.state;
  input.value = found.words;
  ask({ words: found.words, terms: [...terms, ...found.terms], filters: [...new Set([...filters, ...found.filters])] }, { replace: stepped });
  stepped = false;
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.key === "Backspace" && !input.value && store.state.terms.length) {
    removeTerm(store.state.terms[store.state.terms.length - 1]);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!list.hidden) choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    else if (event.key === "ArrowDown") grid.focus(0);
    event.preventDefault();
  } else if (event.key === "Enter" && chosen >= 0) {
    event.preventDefault();
    take(suggestions[chosen]);
  } else if (event.key === "Tab" && !event.shiftKey && chosen >= 0) {
    event.preventDefault();
    take(suggestions[chosen]);
  } else if (event.key === "Escape") {
    if (!list.hidden) close();
    else input.blur();
    event.stopPropagation();
  }
}

async function fetchSuggestions() {
  asking.abort();
  asking = new AbortController();
  const at = [...input.value.slice(0, input.selectionStart ?? undefined)].length; // characters, not UTF-16
  if (!input.value.trim()) return close();
  try {
    suggestions = await suggest(input.value, at, asking.signal);
    if (document.activeElement === input) open();
  } catch {
    close(); // suggestions are a help that may be missing
  }
}

function open() {
  chosen = -1;
  fill(list, suggestions.map((each, place) =>
    h("li", { role: "option", id: `suggestion-${place}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); take(each); } },
      h("span", { class: "label" }, each.label),
      h("span", { class: "kind" }, each.kind === "word" ? "" : each.kind),
      each.count !== null && h("span", { class: "count" }, count(each.count)),
    )));
  list.hidden = !suggestions.length;
  input.setAttribute("aria-expanded", String(!list.hidden));
}

function close() {
  clearTimeout(suggesting);
  list.hidden = true;
  chosen = -1;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

/** @param {number} place */
function choose(place) {
  chosen = place < -1 ? suggestions.length - 1 : place >= suggestions.length ? -1 : place;
  for (const [at, option] of [...list.children].entries()) option.setAttribute("aria-selected", String(at === chosen));
  if (chosen < 0) input.removeAttribute("aria-activedescendant");
  else input.setAttribute("aria-activedescendant", `suggestion-${chosen}`);
  list.children[chosen]?.scrollIntoView({ block: "nearest" });
}

/** @param {Suggestion} suggestion */
function take({ insert, from, to }) {
  const characters = [...input.value];
  const before = characters.slice(0, from).join("") + insert;
  input.value = before + characters.slice(to).join("");
  const caret = before.length;
  input.setSelectionRange(caret, caret);
  close();
  if (insert.endsWith(":")) typed(); // a filter's name: its values are suggested next
  else if (parse(insert).filters.length) commit();
  else search({ replace: stepped });
}

/** @returns {string} the whole query, for tests and for the title */
export function wholeQuery() {
  return write(store.state);
}
