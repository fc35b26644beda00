/**
 * The state of the page, and its address: each is made of the other, so Back works.
 *
 * @typedef {import("./types.js").State} State
 * @typedef {(state: State, before: State) => void} Listener
 */

import { parse, write } from "./grammar.js";

/** @type {State} */
export const EMPTY = {
  words: "",
  terms: [],
  filters: [],
  for: "photos",
  sort: "",
  threshold: null,
  instruct: "",
  library: "",
  photo: null,
  view: "search",
};

/**
 * Read the state out of an address.
 * @param {URL | Location} address
 * @returns {State}
 */
export function fromAddress(address) {
  const values = new URLSearchParams(address.search);
  const text = (/** @type {string} */ name) => values.get(name) ?? "";
  const view = text("view");
  const sort = text("sort");
  return {
    ...EMPTY,
    ...parse(text("q")),
    for: text("for") === "texts" ? "texts" : "photos",
    sort: sort === "date" || sort === "oldest" || sort === "score" ? sort : "",
    threshold: number(text("threshold")),
    instruct: text("instruct"),
    library: text("library"),
    photo: number(text("photo")),
    view: view === "duplicates" || view === "names" ? view : "search",
  };
}

/**
 * Write the address of a state; what is as usual is left out.
 * @param {State} state
 * @returns {string}
 */
export function toAddress(state) {
  const values = new URLSearchParams();
  const usual = { ...EMPTY, q: "" };
  const said = { q: write(state), ...state };
  for (const name of /** @type {const} */ ([
    "q", "for", "sort", "threshold", "instruct", "library", "view", "photo",
  ])) {
    if (said[name] !== usual[name] && said[name] !== null) values.set(name, String(said[name]));
  }
  const query = values.toString();
  return query ? `/?${query}` : "/";
}

/** Holds the state; tells listeners, and the address bar, of every change. */
class Store {
  /** @type {State} */
  #state = fromAddress(location);
  /** @type {Listener[]} */
  #listeners = [];

  constructor() {
    addEventListener("popstate", () => this.#change(fromAddress(location)));
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** @param {Listener} listener */
  subscribe(listener) {
    this.#listeners.push(listener);
  }

  /**
   * Change parts of the state. `replace` makes no step for Back.
   * @param {Partial<State>} parts
   * @param {{replace?: boolean}} [how]
   */
  set(parts, { replace = false } = {}) {
    const next = { ...this.#state, ...parts };
    const address = toAddress(next);
    if (address !== toAddress(this.#state)) {
      if (replace) history.replaceState(history.state, "", address);
      else history.pushState({ inside: true }, "", address);
    }
    this.#change(next);
  }

  /** @param {State} next */
  #change(next) {
    const before = this.#state;
    this.#state = next;
    for (const listener of this.#listeners) listener(next, before);
  }
}

export const store = new Store();

/** @param {string} text @returns {number | null} */
function number(text) {
  const value = Number(text);
  return text && Number.isFinite(value) ? value : null;
}

/**
 * Read what this browser remembers of the page; null where it remembers nothing, or may not.
 * @param {string} name
 * @returns {string | null}
 */
export function remembered(name) {
  try {
    return localStorage.getItem(`twinlens.${name}`);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  try {
    localStorage.setItem(`twinlens.${name}`, value);
  } catch {
    // the browser is told to keep nothing
  }
}
