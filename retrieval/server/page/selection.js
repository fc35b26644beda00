/**
 * The photos that are selected: by their ids, in the order in which they were selected.
 *
 * "All that match" is kept as the query, too, so that an export of 100,000 photos sends no list.
 *
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./api.js").Params} Params
 */

class Selection {
  /** @type {Set<number>} */
  #ids = new Set();
  /** @type {Params | null} */
  #query = null;
  /** Where the next range begins. @type {number | null} */
  #anchor = null;
  /** @type {(() => void)[]} */
  #listeners = [];

  /** @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.push(listener);
  }

  /** @returns {number} */
  get size() {
    return this.#ids.size;
  }

  /** @returns {number[]} */
  get ids() {
    return [...this.#ids];
  }

  /** The query whose answers are exactly what is selected, if it came about that way. @returns {Params | null} */
  get query() {
    return this.#query;
  }

  /** @param {number} id @returns {boolean} */
  has(id) {
    return this.#ids.has(id);
  }

  /**
   * Select a photo, or take it out again; the next range begins here.
   * @param {Hit} hit
   */
  toggle(hit) {
    const had = this.#ids.delete(hit.id);
    if (!had) this.#ids.add(hit.id);
    this.#anchor = hit.id;
    this.#changed(null);
  }

  /**
   * Select all from where the last photo was selected to here.
   * @param {readonly Hit[]} hits as they are shown
   * @param {number} index
   */
  extend(hits, index) {
    const anchor = hits.findIndex((hit) => hit.id === this.#anchor);
    const from = anchor < 0 ? index : anchor;
    const range = hits.slice(Math.min(from, index), Math.max(from, index) + 1);
    for (const hit of from <= index ? range : range.reverse()) this.#ids.add(hit.id);
    if (anchor < 0) this.#anchor = hits[index].id;
    this.#changed(null);
  }

  /**
   * Select these beside what is selected.
   * @param {readonly Hit[]} hits
   */
  add(hits) {
    for (const hit of hits) this.#ids.add(hit.id);
    this.#changed(null);
  }

  /**
   * Select exactly what a query finds.
   * @param {readonly number[]} ids
   * @param {Params} query
   */
  replace(ids, query) {
    this.#ids = new Set(ids);
    this.#changed(query);
  }

  clear() {
    if (!this.#ids.size) return;
    this.#ids.clear();
    this.#anchor = null;
    this.#changed(null);
  }

  /** @param {Params | null} query */
  #changed(query) {
    this.#query = query;
    for (const listener of this.#listeners) listener();
  }
}

export const selection = new Selection();
