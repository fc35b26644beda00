/**
 * What can be done with a photo: the buttons and the menu of its tile, and its keys.
 *
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./menu.js").Choice} Choice
 */

import { addTerm, moreLikeThis } from "./query.js";
import { grid, tileParts } from "./grid.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { shortcuts } from "./keys.js";
import { toast } from "./announce.js";

/**
 * Parts of the menu of a photo, in order; a module may push its own.
 * @type {((hit: Hit) => Choice[])[]}
 */
export const tileChoices = [
  (hit) => [
    { label: "More like this", icon: "similar", key: "f", run: () => moreLikeThis(hit.id) },
    { label: "Add to the query", icon: "plus", key: "+", run: () => addTerm({ item: hit.id, weight: 1 }) },
    { label: "Take away from the query", icon: "minus", key: "-", run: () => addTerm({ item: hit.id, weight: -1 }) },
  ],
  (hit) => [
    { label: "Copy the path", icon: "copy", apart: true, run: () => copyPath(hit) },
    { label: "Open the file", icon: "open", run: () => void open(hit.original, "_blank", "noopener") },
  ],
];

/** @param {HTMLElement} opener @param {Hit} hit */
export function openTileMenu(opener, hit) {
  openMenu(opener, tileChoices.flatMap((choices) => choices(hit)));
}

/** @param {Hit} hit */
export async function copyPath(hit) {
  await copy(hit.path, "the path");
}

/**
 * Put a text into the clipboard, and say so.
 * @param {string} text
 * @param {string} name what it is
 */
export async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`Copied ${name}`);
  } catch {
    toast(`The browser does not let the page copy ${name}; select and copy it by hand`);
  }
}

/** Begin: buttons on each tile, and keys. */
export function startTiles() {
  tileParts.push((tile, hit) => {
    tile.append(h("div", { class: "acts" },
      button("similar", "More like this", () => moreLikeThis(hit.id)),
      button("more", "More to do with it", (event) => openTileMenu(/** @type {HTMLElement} */ (event.currentTarget), hit)),
    ));
  });
  shortcuts(
    key(["f"], "More like the photo", (hit) => moreLikeThis(hit.id)),
    key(["+", "="], "Add the photo to the query", (hit) => addTerm({ item: hit.id, weight: 1 })),
    key(["-"], "Take the photo away from the query", (hit) => addTerm({ item: hit.id, weight: -1 })),
    key(["m", "ContextMenu"], "Open the menu of the photo", (hit, link) => openTileMenu(link, hit)),
    key(["c"], "Copy the path of the photo", (hit) => void copyPath(hit)),
  );
}

/** @param {string[]} keys @param {string} label @param {(hit: Hit, link: HTMLElement) => void} run @returns {import("./keys.js").Shortcut} */
function key(keys, label, run) {
  return { keys, label, scope: "grid", run: () => {
    const hit = grid.focusedHit;
    if (!hit) return false;
    run(hit, /** @type {HTMLElement} */ (document.activeElement));
  } };
}

/** @param {Parameters<typeof icon>[0]} name @param {string} label @param {(event: Event) => void} run @returns {HTMLButtonElement} */
function button(name, label, run) {
  return h("button", { type: "button", class: "act", tabindex: -1, title: label, "aria-label": label, onclick: run }, icon(name));
}
