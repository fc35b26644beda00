/**
 * Dialogs: a title, a way to close, and the focus where it was before.
 *
 * @typedef {import("./dom.js").Child} Child
 */

import { h } from "./dom.js";
import { icon } from "./icons.js";

let numbered = 0;

/**
 * Show a dialog. It closes with Esc, its button, and a click beside it.
 * @param {object} parts
 * @param {string} parts.title
 * @param {string} parts.label a class for its style
 * @param {Child[]} parts.content
 * @param {() => void} [parts.closed] called after it was closed, by whatever
 * @returns {HTMLDialogElement}
 */
export function openDialog({ title, label, content, closed }) {
  const before = document.activeElement;
  numbered += 1;
  const id = `dialog-${numbered}`;
  const dialog = h("dialog", { class: `sheet ${label}`, "aria-labelledby": id },
    h("div", { class: "sheet-head" },
      h("h2", { id }, title),
      h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close")),
    ),
    h("div", { class: "sheet-body" }, ...content),
  );
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    closed?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
