/**
 * Changes to the query that several parts of the page make: each is one step for Back.
 *
 * @typedef {import("./types.js").Term} Term
 * @typedef {import("./types.js").State} State
 */

import { filterParts, sameTerm } from "./grammar.js";
import { EMPTY, store } from "./state.js";

/** Search for what looks like a photo; filters stay. @param {number} item */
export function moreLikeThis(item) {
  ask({ words: "", terms: [{ item, weight: 1 }] });
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

/** @param {string} filter as written */
export function toggleFilter(filter) {
  const { filters } = store.state;
  const without = filters.filter((each) => each.toLowerCase() !== filter.toLowerCase());
  ask({ filters: without.length < filters.length ? without : [...filters, filter] });
}

/** Replace all filters of one name. @param {string} name @param {string} [filter] as written */
export function setFilter(name, filter) {
  const others = store.state.filters.filter((each) => filterParts(each).name !== name);
  ask({ filters: filter ? [...others, filter] : others });
}

/** Begin anew, in the same library. */
export function clearAll() {
  store.set({ ...EMPTY, library: store.state.library });
}

/** Ask for something else; what was opened and forced before is over. @param {Partial<State>} parts @param {{replace?: boolean}} [how] */
export function ask(parts, how) {
  store.set({ photo: null, threshold: null, view: "search", ...parts }, how);
}
