/** Short messages: read out by screen readers, and shown for a moment where something was done. */

import { Problem } from "./api.js";
import { byId, fill, h } from "./dom.js";

const SHOWN = 3500; // ms
const place = byId("toast", HTMLElement);
const spoken = byId("spoken", HTMLElement);
let timer = 0;

/** Say something to those who listen, silently for those who see. @param {string} text */
export function announce(text) {
  onTop(spoken);
  spoken.textContent = text;
}

/**
 * Show a message at the foot of the page, perhaps with something to do about it.
 * @param {string} text
 * @param {{label: string, run: () => void}} [action]
 */
export function toast(text, action) {
  onTop(place);
  const hide = () => place.classList.remove("shown");
  const act = action && h("button", { type: "button", class: "quiet", onclick: () => { hide(); action.run(); } }, action.label);
  fill(place, h("span", {}, text), act);
  place.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(hide, action ? 2 * SHOWN : SHOWN);
}

/** Put an element where it is seen and read: in the dialog that lies over all else. @param {HTMLElement} element */
function onTop(element) {
  const dialogs = document.querySelectorAll("dialog[open]");
  const host = dialogs[dialogs.length - 1] ?? document.body;
  if (element.parentElement !== host) host.append(element);
}

/**
 * Do what needs the server, and say so if it cannot be done.
 * @param {() => Promise<void>} run
 */
export async function attempt(run) {
  try {
    await run();
  } catch (error) {
    toast(`That did not work: ${error instanceof Problem ? error.message : "the server does not answer"}`);
  }
}
