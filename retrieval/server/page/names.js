/**
 * The view of the names that the library learned: search for one, or forget it.
 *
 * @typedef {{name: string, like: string, photos: number}} Learned
 */

import { ask } from "./query.js";
import { asProblem } from "./results.js";
import { counted } from "./format.js";
import { fill, h } from "./dom.js";
import { get, send } from "./api.js";
import { icon } from "./icons.js";
import { openDialog } from "./dialog.js";
import { toast } from "./announce.js";

/** Show the names. @param {HTMLElement} place @param {AbortSignal} signal */
export async function showNames(place, signal) {
  const { names } = await get("/names", {}, signal);
  if (!signal.aborted) fill(place, ...list(names, () => showNames(place, signal)));
}

/** @param {Learned[]} names @param {() => void} changed @returns {HTMLElement[]} */
function list(names, changed) {
  if (!names.length) return [h("p", { class: "empty" }, "This library has learned no name yet.")];
  return [h("ul", { class: "names" }, ...names.map((learned) => entry(learned, changed)))];
}

/** @param {Learned} learned @param {() => void} changed @returns {HTMLElement} */
function entry(learned, changed) {
  const { name, like, photos } = learned;
  return h("li", {},
    h("div", {}, h("b", {}, name), h("small", {}, [like && `a kind of ${like}`, `learned from ${counted(photos, "photo")}`].filter(Boolean).join(" · "))),
    h("button", { type: "button", class: "quiet", onclick: () => ask({ words: name, terms: [], filters: [] }) }, icon("search"), "Search for it"),
    h("button", { type: "button", class: "quiet", "aria-label": `Forget ${name}`, onclick: () => confirmForget(name, changed) }, icon("close"), "Forget"),
  );
}

/** @param {string} name @param {() => void} changed */
function confirmForget(name, changed) {
  const dialog = openDialog({
    title: `Forget “${name}”?`,
    label: "confirm",
    content: [
      h("p", {}, "Searches no longer know the name. The photos stay as they are."),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Keep it"),
        h("button", { type: "button", class: "primary", onclick: forget }, "Forget it")),
    ],
  });

  async function forget() {
    dialog.close();
    try {
      await send(`/names/${encodeURIComponent(name)}`, undefined, { method: "DELETE" });
      toast(`Forgot “${name}”`);
    } catch (error) {
      toast(`Not forgotten: ${asProblem(error).message}`);
    }
    changed();
  }
}
