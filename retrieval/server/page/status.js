/**
 * The libraries and what happens in them: which is shown, what is being indexed, what is new.
 *
 * @typedef {import("./types.js").Library} Library
 */

import { byId, fill, h } from "./dom.js";
import { counted, count } from "./format.js";
import { EMPTY, store } from "./state.js";
import { events, libraries } from "./api.js";
import { results } from "./results.js";

const AGAIN = 3000; // ms until a server that does not answer is asked again

/** @type {Library[]} */
let known = [];
/** @type {(() => void)[]} */
const listeners = [];
/** @type {Set<(event: any) => void>} */
const learning = new Set();
const progress = h("p", { class: "progress", hidden: true });
const fresh = h("button", { type: "button", class: "fresh", hidden: true, onclick: () => renew() }, "Show what is new");
const choice = h("select", { "aria-label": "Library", hidden: true, onchange: () => store.set({ ...EMPTY, library: choice.value }) });
/** The generation of the library that the results are of. */
let shown = -1;
let waiting = 0;
/** @type {EventSource | undefined} */
let source;

/** Begin. */
export function startStatus() {
  byId("corner", HTMLElement).prepend(fresh, progress, choice);
  connect();
  document.addEventListener("visibilitychange", connect);
  results.subscribe(() => {
    if (mayPass() && !waiting) waiting = setTimeout(read, AGAIN);
  });
  store.subscribe((state, before) => {
    if (state.library === before.library) return;
    shown = -1;
    show();
  });
  void read();
}

/**
 * Follow the events while the tab is seen: a browser opens few connections to one server, and each
 * tab would keep one. It connects again by itself, but where the server refused.
 */
function connect() {
  source?.close();
  if (document.hidden) return;
  const opened = (source = events({ library: changed, index: indexing, learning: (event) => learning.forEach((listener) => listener(event)) }));
  opened.addEventListener("open", () => void read());
  opened.addEventListener("error", () => {
    if (opened.readyState === EventSource.CLOSED) setTimeout(connect, 5 * AGAIN);
  });
}

/**
 * Follow how far the learning of a name is.
 * @param {(event: {learns: string, done: number, total: number}) => void} listener
 * @returns {() => void} ends it
 */
export function onLearning(listener) {
  learning.add(listener);
  return () => learning.delete(listener);
}

/** @param {() => void} listener called when the library that is shown changed */
export function onLibrary(listener) {
  listeners.push(listener);
}

/** @returns {Library | null} the library that is shown; null before the server said so */
export function currentLibrary() {
  const { library } = store.state;
  return known.find(({ name }) => name === library) ?? (library ? null : (known[0] ?? null));
}

async function read() {
  clearTimeout(waiting);
  try {
    known = await libraries();
    waiting = mayPass() ? setTimeout(read, AGAIN) : 0;
  } catch {
    waiting = setTimeout(read, AGAIN);
    return;
  }
  show();
}

/** Whether what is wrong may be over without anybody's doing: the server or the library is away. @returns {boolean} */
function mayPass() {
  const { problem } = results;
  return problem !== null && (problem.code === "offline" || problem.code === "library_locked" || problem.status >= 500);
}

/** @param {Partial<Library> & {name: string}} event */
function changed(event) {
  known = known.map((each) => (each.name === event.name ? { ...each, ...event } : each));
  show();
}

/** @param {{name?: string, library?: string} & import("./types.js").Indexing} event */
function indexing(event) {
  const name = event.name ?? event.library;
  known = known.map((each) => (!name || each.name === name ? { ...each, indexing: event } : each));
  show();
}

function show() {
  const library = currentLibrary();
  choice.hidden = known.length < 2;
  fill(choice, known.map(({ name }, at) => h("option", { value: at ? name : "", selected: name === library?.name }, name)));
  showProgress(library);
  follow(library);
  for (const listener of listeners) listener();
}

/** @param {Library | null} library */
function showProgress(library) {
  const now = library?.indexing;
  progress.hidden = !now;
  if (!now) return;
  const done = now.met ? `: ${count(now.files ?? 0)} of ${counted(now.met, "file")}` : "";
  const rate = now.rate ? `, ${Math.round(now.rate)} photos/s` : "";
  fill(progress, h("span", { class: "pulse", "aria-hidden": "true" }), `Indexing${done}${rate}`);
}

/** Search again where nobody looks at the middle of a list; else offer it. @param {Library | null} library */
function follow(library) {
  if (!library || (library.state !== "ready" && library.state !== "empty")) return;
  if (results.problem && results.problem.code !== "usage") return renew(); // what was wrong may be over
  if (library.generation === shown) return;
  const first = shown < 0;
  shown = library.generation;
  if (first) return;
  if (scrollY < 80 && store.state.photo === null) renew();
  else fresh.hidden = false;
}

function renew() {
  fresh.hidden = true;
  results.again();
}
