/**
 * A menu beside what opened it; arrows, Enter and Esc work, and the focus goes back.
 *
 * @typedef {object} Choice
 * @property {string} label
 * @property {Parameters<typeof icon>[0]} [icon]
 * @property {string} [key] the shortcut that does the same
 * @property {boolean} [checked] set where one of several is chosen
 * @property {boolean} [apart] a line stands before it
 * @property {() => void} run
 */

import { byId, h } from "./dom.js";
import { icon } from "./icons.js";

/** @type {(() => void) | null} */
let closeOpen = null;

/**
 * Open a menu; an open one is closed.
 * @param {HTMLElement} opener
 * @param {Choice[]} choices
 */
export function openMenu(opener, choices) {
  closeOpen?.();
  const before = document.activeElement;
  const menu = h("div", { class: "menu", role: "menu", tabindex: -1 }, choices.map((choice) => entry(choice, close)));
  const host = opener.closest("dialog") ?? byId("results", HTMLElement);
  host.append(menu);
  place(menu, opener);
  opener.setAttribute("aria-expanded", "true");
  menu.addEventListener("keydown", (event) => pressed(event, menu, close));
  const outside = (/** @type {Event} */ event) => {
    if (event.target instanceof Node && !menu.contains(event.target)) close();
  };
  document.addEventListener("pointerdown", outside, true);
  addEventListener("scroll", close, { passive: true, once: true });
  closeOpen = close;
  (/** @type {HTMLElement | null} */ (menu.querySelector("[aria-checked=true]")) ?? entries(menu)[0])?.focus({ preventScroll: true });

  function close() {
    if (closeOpen !== close) return;
    closeOpen = null;
    const inside = menu.contains(document.activeElement);
    menu.remove();
    opener.removeAttribute("aria-expanded");
    document.removeEventListener("pointerdown", outside, true);
    removeEventListener("scroll", close);
    if (inside && before instanceof HTMLElement) before.focus({ preventScroll: true });
  }
}

/** @param {Choice} choice @param {() => void} close @returns {HTMLElement} */
function entry(choice, close) {
  const marked = choice.checked !== undefined;
  return h("button", {
    type: "button", role: marked ? "menuitemradio" : "menuitem", tabindex: -1, "aria-checked": marked ? String(choice.checked) : null,
    class: choice.apart ? "apart" : null, onclick: () => { close(); choice.run(); },
  }, choice.icon ? icon(choice.icon) : h("span", { class: "icon" }), h("span", { class: "label" }, choice.label),
  choice.key && h("kbd", { "aria-hidden": "true" }, choice.key), choice.checked && icon("check"));
}

/** @param {HTMLElement} menu @returns {HTMLElement[]} */
function entries(menu) {
  return [...menu.querySelectorAll("button")];
}

/** @param {KeyboardEvent} event @param {HTMLElement} menu @param {() => void} close */
function pressed(event, menu, close) {
  const all = entries(menu);
  const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) all[(to + all.length) % all.length].focus();
  else if (event.key === "Escape" || event.key === "Tab") close();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** @param {HTMLElement} menu @param {HTMLElement} opener */
function place(menu, opener) {
  const from = opener.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = from.bottom + height + 12 < innerHeight || from.top < height;
  menu.style.left = `${Math.max(8, Math.min(from.left, innerWidth - width - 8))}px`;
  menu.style.top = `${below ? from.bottom + 4 : from.top - height - 4}px`;
}
