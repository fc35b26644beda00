/**
 * What stands where there are no pictures: nothing matches, an error, a library without photos.
 * And the lines above the pictures: how the query was understood, and what may be meant.
 *
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./types.js").Library} Library
 */

import { ask, clearAll, toggleFilter } from "./query.js";
import { byId, fill, h } from "./dom.js";
import { capital, percent } from "./format.js";
import { copy } from "./tiles.js";
import { filterParts, parse } from "./grammar.js";
import { icon } from "./icons.js";
import { results } from "./results.js";
import { store } from "./state.js";
import { thumbAt } from "./api.js";

const place = byId("state", HTMLElement);
const notes = byId("notes", HTMLElement);
/** What the code of a problem says of a library. @type {Map<string, Library["state"]>} */
const AWAY = new Map([["library_locked", "locked"], ["library_damaged", "damaged"], ["no_library", "missing"]]);

/** Whether words or pictures are asked for, and not filters alone. @param {State} state @returns {boolean} */
export function isAsked({ words, terms }) {
  return Boolean(words.trim() || terms.length);
}

/**
 * Show why there are no pictures; nothing where there are some.
 * @param {Library | null} library that is shown, as far as it is known
 */
export function showViews(library) {
  const { status, problem } = results;
  const told = library && library.state !== "ready" && library.state !== "opening" ? library : awayBy(problem);
  const away = told && libraryView(told);
  fill(notes, status === "ready" || (status === "nothing" && !away) ? hints() : null, problem && results.hits.length ? slip(problem.code === "offline" ? "the server does not answer; what is shown is of the search before" : problem.message) : null);
  if (away && !results.hits.length) fill(place, away);
  else if (problem && !results.hits.length) fill(place, failure());
  else if (status === "nothing") fill(place, nothing());
  else fill(place);
}

/** Read off a search that failed how the library is; the server may say so later. @param {import("./api.js").Problem | null} problem */
function awayBy(problem) {
  const state = AWAY.get(problem?.code ?? "");
  return problem && state ? { name: store.state.library, state, message: problem.message } : null;
}

/** @returns {HTMLElement | null} */
function hints() {
  const lines = results.answer?.hints ?? [];
  if (!lines.length) return null;
  const told = new Map(lines.map((line) => [meantBy(line) || line, line])); // two hints may mean the same
  return h("ul", { class: "hints" }, [...told].map(([meant, line]) => {
    if (meant === line) return h("li", {}, capital(line));
    return h("li", {}, "Did you mean ", h("button", { type: "button", class: "link", onclick: () => askFor(meant) }, meant), "?");
  }));
}

/** Put what a hint says may be meant into the words of the query; empty if it says nothing like that. @param {string} line */
function meantBy(line) {
  const { words } = store.state;
  let meant = words;
  for (const [, other, word] of line.matchAll(/did you mean '([^']+)' for '([^']+)'\?/gu)) {
    const exactly = word.replace(/[.*+?^${}()|[\]\\]/gu, "\\$&");
    meant = meant.replace(new RegExp(`(?<![\\p{L}\\p{N}])${exactly}(?![\\p{L}\\p{N}])`, "giu"), () => other);
  }
  const [, written = "", filter = ""] = /^'(.+?)' is searched for as words; did you mean (\S+:\S+)\?$/u.exec(line) ?? [];
  if (filter) meant = meant.replace(written, () => filter);
  return meant === words ? "" : meant;
}

/** Search for other words, which may hold filters. @param {string} written */
function askFor(written) {
  const { words, terms, filters } = parse(written);
  ask({ words, terms: [...store.state.terms, ...terms], filters: [...store.state.filters, ...filters] });
}

/** @param {string} message @returns {HTMLElement} */
function slip(message) {
  return h("p", { class: "slip", role: "alert" }, capital(message));
}

/** @returns {HTMLElement} */
function nothing() {
  const { state } = store;
  const nearest = results.answer?.nothing?.nearest ?? null;
  const ways = [
    ...withoutFilters(),
    state.filters.length > 1 && way("Without any filter", () => ask({ filters: [] })),
    state.instruct && way("Without the instruction", () => ask({ instruct: "" })),
    isAsked(state) && nearest && way("Show all anyway", () => ask({ threshold: 0 })),
    way("Start again", clearAll),
  ];
  return h("section", { class: "message" },
    h("h2", {}, isAsked(state) ? "Nothing matches" : "No photo passes these filters"),
    nearest && near(nearest),
    !nearest && results.answer?.message && h("p", {}, capital(results.answer.message)),
    h("div", { class: "ways" }, ways),
  );
}

/** @returns {HTMLElement[]} a way out of each filter */
function withoutFilters() {
  return store.state.filters.map((filter) => way(`Without ${said(filter)}`, () => toggleFilter(filter)));
}

/** @param {Hit} hit @returns {HTMLElement} */
function near(hit) {
  const match = hit.match === null ? "" : `, a match with ${percent(hit.match)}`;
  return h("div", { class: "near" },
    hit.kind === "text" ? h("blockquote", {}, hit.text)
      : h("button", { type: "button", class: "picture", "aria-label": `Open ${hit.name}`, onclick: () => store.set({ photo: hit.id }) },
        h("img", { src: thumbAt(hit.thumb, 256), alt: "", width: hit.width, height: hit.height })),
    h("p", {}, `The nearest is ${hit.name}${match}.`));
}

/** @returns {HTMLElement} */
function failure() {
  const problem = /** @type {import("./api.js").Problem} */ (results.problem);
  const offline = problem.code === "offline";
  const unread = problem.code === "usage";
  return h("section", { class: "message", role: "alert" },
    h("h2", {}, offline ? "The server does not answer" : unread ? "That query cannot be understood" : "That did not work"),
    h("p", {}, offline ? "It may have been stopped. The page goes on as soon as it is back; to start it:" : capital(problem.message)),
    offline && command("twinlens serve"),
    h("div", { class: "ways" }, unread ? withoutFilters() : way("Try again", () => results.again()), !offline && way("Start again", clearAll)),
    problem.request && !unread && h("p", { class: "fine" }, `Request ${problem.request}`),
  );
}

/** What a library is, and what helps: the server says which command does. @param {Pick<Library, "name" | "state" | "message" | "indexing">} library @returns {HTMLElement} */
function libraryView({ name, state, message, indexing }) {
  const titles = { empty: "This library has no photos yet", missing: "The library is not there", locked: "The library is being changed", damaged: "The library is damaged" };
  const next = {
    empty: indexing ? "They appear here as soon as they are indexed." : "Index a folder, and they appear here:",
    missing: "The page goes on as soon as it is back. To make one:", damaged: "To repair it:", locked: "The page goes on as soon as it is free.",
  };
  const kind = /** @type {keyof typeof titles} */ (state);
  const [, reason = message, written = ""] = /^(.*?)(?:;[^;]*)? with: (.*)$/su.exec(message) ?? [];
  return h("section", { class: "message", role: "status" },
    h("h2", {}, titles[kind] ?? `The library is ${state}`),
    reason && kind !== "empty" && h("p", {}, capital(reason)),
    h("p", {}, next[kind]),
    written && !indexing && command(written.replace(/\bFOLDER\b/u, "~/Pictures")),
    name && h("p", { class: "fine" }, `Library ${name}`),
  );
}

/** @param {string} text @returns {HTMLElement} */
function command(text) {
  return h("div", { class: "command" }, h("code", { tabindex: 0 }, text),
    h("button", { type: "button", class: "icon-button", "aria-label": "Copy the command", onclick: () => copy(text, "the command") }, icon("copy")));
}

/** @param {string} label @param {() => void} run @returns {HTMLElement} */
function way(label, run) {
  return h("button", { type: "button", class: "button", onclick: run }, label);
}

/** @param {string} filter @returns {string} */
function said(filter) {
  const { negated, name, value } = filterParts(filter);
  return `“${negated ? "not " : ""}${name} ${value}”`;
}
