/**
 * The server: one function a route, errors as `Problem`.
 *
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").Answer} Answer
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").Facets} Facets
 * @typedef {import("./types.js").Suggestion} Suggestion
 * @typedef {import("./types.js").Library} Library
 * @typedef {Record<string, string | number | boolean | null | undefined>} Params
 */

import { write } from "./grammar.js";
import { store } from "./state.js";

const ROOT = "/api/v1";

/** What went wrong, as the server says it (RFC 9457), or "offline" where it does not answer. */
export class Problem extends Error {
  /** @param {{status?: number, code?: string, title?: string, detail?: string, request_id?: string}} said */
  constructor(said) {
    super(said.detail || said.title || "the server gave no reason");
    this.name = "Problem";
    this.status = said.status ?? 0;
    this.code = said.code ?? "failed";
    this.title = said.title ?? "";
    this.request = said.request_id ?? "";
  }
}

/**
 * Write an address of the API for the library that is shown; empty values are left out.
 * @param {string} path
 * @param {Params} [params]
 * @returns {string}
 */
export function address(path, params = {}) {
  const values = new URLSearchParams();
  for (const [name, value] of Object.entries({ library: store.state.library, ...params })) {
    if (value !== null && value !== undefined && value !== "") values.set(name, String(value));
  }
  const query = values.toString();
  return `${ROOT}${path}${query ? `?${query}` : ""}`;
}

/**
 * Ask for JSON.
 * @param {string} path
 * @param {Params} [params]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, params, signal) {
  return (await answer(address(path, params), { signal })).json();
}

/**
 * Send JSON, or a picture as it is; return the answer, which may be a download.
 * @param {string} path
 * @param {unknown} body
 * @param {{params?: Params, method?: string, signal?: AbortSignal}} [how]
 * @returns {Promise<Response>}
 */
export async function send(path, body, { params, method = "POST", signal } = {}) {
  const file = body instanceof Blob;
  const type = file ? body.type || "application/octet-stream" : "application/json";
  const content = file ? body : body === undefined ? undefined : JSON.stringify(body);
  return answer(address(path, params), { method, body: content, headers: { "Content-Type": type }, signal });
}

/** @param {string} url @param {RequestInit} init @returns {Promise<Response>} */
async function answer(url, init) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(url, { ...init, headers: { Accept: "application/json", ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem({ code: "offline", detail: "the server does not answer" });
  }
  if (response.ok) return response;
  throw new Problem(await response.json().catch(() => ({ status: response.status, title: response.statusText })));
}

/**
 * Name what is asked for, as every route about a query takes it.
 * @param {State} state
 * @returns {Params}
 */
export function asked(state) {
  return {
    q: write(state),
    for: state.for === "photos" ? "" : state.for,
    instruct: state.instruct,
    threshold: state.threshold,
  };
}

/**
 * Search.
 * @param {State} state
 * @param {{cursor?: string | null, limit?: number}} page
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export function search(state, { cursor, limit }, signal) {
  return get("/search", { ...asked(state), sort: state.sort, cursor, limit }, signal);
}

/** @param {number} id @param {AbortSignal} [signal] @returns {Promise<Item>} */
export function item(id, signal) {
  return get(`/items/${id}`, {}, signal);
}

/** @param {State} state @param {AbortSignal} [signal] @returns {Promise<Facets>} */
export function facets(state, signal) {
  return get("/facets", asked(state), signal);
}

/** @param {string} q @param {number} at @param {AbortSignal} [signal] @returns {Promise<Suggestion[]>} */
export async function suggest(q, at, signal) {
  const target = store.state.for === "photos" ? "" : store.state.for;
  // The server counts characters; here, those beyond the first 65,536 count twice.
  const characters = [...q];
  /** @param {number} count @returns {number} */
  const here = (count) => characters.slice(0, count).join("").length;
  const { suggestions } = await get("/suggest", { q, at: [...q.slice(0, at)].length, for: target }, signal);
  return suggestions.map((/** @type {Suggestion} */ each) => ({ ...each, from: here(each.from), to: here(each.to) }));
}

/** @returns {Promise<Library[]>} */
export async function libraries() {
  return (await get("/libraries")).libraries;
}

/**
 * Hand over a picture to search with.
 * @param {Blob} picture
 * @returns {Promise<{id: string, width: number, height: number, thumb: string}>}
 */
export async function upload(picture) {
  return (await send("/queries", picture)).json();
}

/**
 * Follow what happens in the libraries, for as long as the page is open.
 * @param {Record<string, (data: any) => void>} listeners by the name of the event
 * @returns {EventSource}
 */
export function events(listeners) {
  const source = new EventSource(address("/events"));
  for (const [name, listener] of Object.entries(listeners)) {
    source.addEventListener(name, (event) => listener(event.data ? JSON.parse(event.data) : null));
  }
  return source;
}

/**
 * Address a small picture.
 * @param {string} thumb as the server gave it
 * @param {256 | 1024} size longest side
 * @returns {string}
 */
export function thumbAt(thumb, size) {
  return `${thumb}${thumb.includes("?") ? "&" : "?"}size=${size}`;
}
