/**
 * The search that the page shows: asks, aborts, reads page after page.
 *
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./types.js").Answer} Answer
 * @typedef {"first" | "loading" | "ready" | "nothing" | "failed"} Status
 *   first: nothing was shown yet; loading: what is shown is of the search before
 */

import { Problem, asked, search } from "./api.js";
import { store } from "./state.js";

const SLOW = 200; // ms after which a running search is shown
const KEPT = 12; // searches that Back shows at once
const KEPT_HITS = 50_000; // of all of them
const PAGE = 200;
const LARGEST_PAGE = 1000;

/** @typedef {{answer: Answer, hits: Hit[], next: string | null, top: number}} Kept */

class Results {
  /** @type {Hit[]} */
  hits = [];
  /** @type {Answer | null} the first page */
  answer = null;
  /** @type {Status} */
  status = "first";
  /** @type {Problem | null} */
  problem = null;
  /** Whether the next page is being read. */
  reading = false;
  /** @type {string | null} */
  next = null;
  /** How many hits a page has; the grid says how many fill the screen. */
  limit = 60;

  /** Where the page was scrolled to when this search was left. */
  top = 0;

  /** How often it was searched again because the library changed. */
  renewed = 0;

  #asked = "";
  /** @type {Map<string, Kept>} */
  #kept = new Map();
  #running = new AbortController();
  /** @type {(() => void)[]} */
  #listeners = [];

  /** @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.push(listener);
  }

  /** Search if something else is asked for. @param {State} state */
  follow(state) {
    const asks = JSON.stringify([asked(state), state.sort, state.library]);
    if (asks === this.#asked) return;
    this.#keep();
    this.#begin(state, asks);
  }

  /** Search again: the library changed, or the server is back. */
  again() {
    this.#kept.clear();
    this.renewed += 1;
    this.#begin(store.state, this.#asked);
  }

  /** Read the next page, if there is one. @returns {Promise<void>} */
  async more() {
    if (!this.next || this.reading || this.status !== "ready") return;
    const running = this.#running;
    this.reading = true;
    this.problem = null;
    this.#tell();
    try {
      const answer = await search(store.state, { cursor: this.next, limit: Math.min(LARGEST_PAGE, Math.max(PAGE, this.hits.length)) }, running.signal);
      this.hits = this.hits.concat(answer.hits);
      this.next = answer.next;
    } catch (error) {
      if (running.signal.aborted) return;
      this.problem = asProblem(error);
    }
    this.reading = false;
    this.#tell();
  }

  /** @param {State} state @param {string} asks */
  async #begin(state, asks) {
    this.#asked = asks;
    this.#running.abort();
    const running = (this.#running = new AbortController());
    this.reading = false;
    const kept = this.#kept.get(asks);
    if (kept) return this.#show(kept);
    const slow = setTimeout(() => this.#waiting(), SLOW);
    try {
      const answer = await search(state, { limit: this.limit }, running.signal);
      this.#take({ answer, hits: answer.hits, next: answer.next, top: 0 });
    } catch (error) {
      if (running.signal.aborted) return;
      this.problem = asProblem(error);
      this.status = "failed";
    } finally {
      clearTimeout(slow);
    }
    if (!running.signal.aborted) this.#tell();
  }

  #waiting() {
    if (this.status !== "first") this.status = "loading";
    this.#tell();
  }

  /** @param {Kept} kept */
  #take({ answer, hits, next, top }) {
    Object.assign(this, { answer, hits, next, top, problem: null });
    this.status = hits.length ? "ready" : "nothing";
  }

  /** @param {Kept} kept */
  #show(kept) {
    this.#take(kept);
    this.#tell();
  }

  /** Remember what is shown, for the way back. */
  #keep() {
    if (!this.answer || this.problem || this.status === "loading") return;
    const { answer, hits, next } = this;
    this.#kept.delete(this.#asked);
    this.#kept.set(this.#asked, { answer, hits, next, top: scrollY });
    let room = KEPT_HITS;
    [...this.#kept].reverse().forEach(([asks, { hits: held }], at) => {
      room -= held.length;
      if (at >= KEPT || (at && room < 0)) this.#kept.delete(asks);
    });
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}

export const results = new Results();

/** @param {unknown} error @returns {Problem} */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  return new Problem({ code: "failed", detail: error instanceof Error ? error.message : String(error) });
}
