/**
 * Changes to the query that several parts of the page make: each is one step for Back.
 *
 * @typedef {import("./types.js").Term} Term
 * @typedef {import("./types.js").State} State
 */

import { filtersIn, sameTerm } from "./grammar.js";
import { EMPTY, store } from "./state.js";

/** Show what looks most like a photo, however little; filters stay. @param {number} item */
export function moreLikeThis(item) {
  ask({ words: "", terms: [{ item, weight: 1 }], threshold: 0 });
}

/** Add a term, or give it the other sign. @param {Term} term */
export function addTerm(term) {
  const others = store.state.terms.filter((each) => !sameTerm(each, term));
  ask({ terms: [...others, term] });
}

/** @param {Term} term */
export function removeTerm(term) {
  ask({ terms: store.state.terms.filter((each) => !sameTerm(each, term)) });
}

/** @param {Term} term @param {number} weight */
export function weighTerm(term, weight) {
  ask({ terms: store.state.terms.map((each) => (sameTerm(each, term) ? { ...each, weight } : each)) });
}

/** Add filters, or remove them if all are there. @param {string} written one or several */
export function toggleFilter(written) {
  const toggled = filtersIn(written);
  const now = store.state.filters;
  const others = now.filter((each) => !toggled.some((one) => same(one, each)));
  const had = now.length - others.length >= toggled.length;
  ask({ filters: had ? others : [...others, ...toggled] });
}

/** Show the photos of one stretch of time instead of those of another. @param {string} written */
export function toggleDates(written) {
  const toggled = filtersIn(written);
  const now = store.state.filters;
  const others = now.filter((each) => !/^(after|before):/iu.test(each));
  const had = toggled.every((one) => now.some((each) => same(one, each)));
  ask({ filters: had ? others : [...others, ...toggled] });
}

/** Begin anew, in the same library. */
export function clearAll() {
  store.set({ ...EMPTY, library: store.state.library });
}

/** Ask for something else; what was opened and forced before is over. @param {Partial<State>} parts @param {{replace?: boolean}} [how] */
export function ask(parts, how) {
  store.set({ photo: null, threshold: null, view: "search", ...parts }, how);
}

/** @param {string} a @param {string} b @returns {boolean} */
function same(a, b) {
  return a.toLowerCase() === b.toLowerCase();
}
