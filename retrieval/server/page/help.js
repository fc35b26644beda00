/** The help: every key of the page, and how a query is written. */

import { allShortcuts } from "./keys.js";
import { h } from "./dom.js";
import { openDialog } from "./dialog.js";

/** @typedef {import("./keys.js").Shortcut} Shortcut */

const MAC = navigator.platform.startsWith("Mac");

const NAMES = /** @type {const} */ ({
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", " ": "Space",
  ContextMenu: "Menu", Mod: MAC ? "⌘" : "Ctrl", Alt: MAC ? "⌥" : "Alt",
});

/** Keys that do the same as another one beside them on some keyboards. */
const ALIASES = new Set(["="]);

const SCOPES = /** @type {const} */ ([
  ["any", "Everywhere"],
  ["grid", "Pictures"],
  ["lightbox", "A picture, shown large"],
]);

const WORDS = [
  ["beach + sunset", "both in one picture"],
  ["street - people", "a street without people"],
  ["0.5:sunset", "a term that counts half"],
  ["after:2019 before:2021-06", "when it was taken"],
  ["near:Rome", "where: a place, or degrees"],
  ["camera:x100", "part of a camera's name"],
  ["tag:family -tag:work", "with a keyword, without another"],
  ["in:Italy type:video", "a folder, a type of file"],
  ["rating:4", "four stars or more"],
];

/** Show the help. */
export function openHelp() {
  openDialog({
    title: "Keys and words",
    label: "help",
    content: [
      h("div", { class: "help-columns" },
        ...SCOPES.map(([scope, title]) => keysOf(scope, title)),
        h("section", {}, h("h3", {}, "Words"), h("dl", { class: "keys" }, ...WORDS.flatMap(([text, what]) => [
          h("dt", {}, h("code", {}, text)), h("dd", {}, what),
        ]))),
      ),
    ],
  });
}

/** @param {Shortcut["scope"]} scope @param {string} title @returns {HTMLElement | null} */
function keysOf(scope, title) {
  const listed = allShortcuts().filter((each) => each.scope === scope && each.label);
  if (!listed.length) return null;
  return h("section", {}, h("h3", {}, title), h("dl", { class: "keys" }, ...listed.flatMap((each) => [
    h("dt", {}, ...(each.shown ?? each.keys).filter((key) => !ALIASES.has(key)).map(pressed)),
    h("dd", {}, each.label),
  ])));
}

/** @param {string} key as registered: "Mod+k" @returns {HTMLElement} */
function pressed(key) {
  const parts = key === "+" ? ["+"] : key.split("+");
  const named = parts.map((part) => String(NAMES[/** @type {keyof typeof NAMES} */ (part)] ?? part));
  if (/^[A-Z]$/u.test(key)) named.splice(0, 1, "Shift", key.toLowerCase());
  return h("kbd", {}, named.join(" "));
}
