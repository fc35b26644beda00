/**
 * The filter panel: what the photos that are left have in common, each line with its count.
 *
 * @typedef {import("./types.js").FacetValue} FacetValue
 * @typedef {import("./types.js").State} State
 */

import { facets } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { count } from "./format.js";
import { icon } from "./icons.js";
import { toggleDates, toggleFilter } from "./query.js";
import { remember, store } from "./state.js";
import { results } from "./results.js";

const GROUPS = /** @type {const} */ ([
  ["dates", "Date"], ["places", "Place"], ["cameras", "Camera"], ["folders", "Folder"], ["keywords", "Keyword"],
  ["ratings", "Rating"], ["types", "File type"], ["orientations", "Shape"],
]);
const FEW = 6; // values that a group shows at first
const KEY = "filters"; // whether the panel is open, in this browser

const panel = byId("filters", HTMLElement);
const list = h("div", { class: "facets" });
/** Groups that are shown whole, and values that are opened. @type {Set<string>} */
const opened = new Set();
let running = new AbortController();
let shownFor = "";
/** How often the library had changed when photos were counted. */
let counted = 0;
/** @type {import("./types.js").Facets | null} */
let current = null;

/** Begin. */
export function startFilters() {
  panel.append(
    h("div", { class: "head" }, h("h2", {}, "Filters"),
      h("button", { type: "button", class: "icon-button", "aria-label": "Close the filters", onclick: () => toggleFilters() }, icon("close"))),
    list,
  );
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    toggleFilters();
  });
  document.addEventListener("pointerdown", ({ target }) => {
    const beside = target instanceof Element && !target.closest("#filters, [aria-controls=filters]");
    if (beside && !panel.hidden && getComputedStyle(panel).position === "fixed") panel.hidden = true;
  });
  store.subscribe(follow);
  results.subscribe(() => {
    if (results.renewed === counted) return;
    counted = results.renewed;
    shownFor = "";
    void follow(store.state);
  });
}

/** Show or hide the panel. @param {boolean} [focus] whether the focus goes there, and back */
export function toggleFilters(focus = true) {
  panel.hidden = !panel.hidden;
  remember(KEY, panel.hidden ? "closed" : "open");
  const button = document.querySelector("[aria-controls=filters]");
  button?.setAttribute("aria-expanded", String(!panel.hidden));
  if (!panel.hidden) void follow(store.state);
  const wanted = /** @type {HTMLElement | null} */ (panel.hidden ? button : panel.querySelector("button"));
  if (focus) wanted?.focus();
}

/** @param {State} state */
async function follow(state) {
  if (panel.hidden) return;
  const asks = JSON.stringify([state.filters, state.for, state.library]);
  if (asks === shownFor) return;
  shownFor = asks;
  running.abort();
  running = new AbortController();
  const { signal } = running;
  try {
    current = await facets(state, signal);
    show();
  } catch {
    if (!signal.aborted) shownFor = "";
  }
}

function show() {
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : "";
  fill(list, GROUPS.map(([name, label]) => group(name, label, current?.facets[name] ?? [])));
  if (focused) /** @type {HTMLElement | null} */ (list.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus();
}

/** @param {string} name @param {string} label @param {FacetValue[]} values @returns {HTMLElement | null} */
function group(name, label, values) {
  if (!values.length || (values.length === 1 && !values[0].selected && !values[0].children?.length)) return null;
  const all = opened.has(name);
  const shown = all ? values : values.filter((value, at) => at < FEW || value.selected);
  const most = Math.max(...values.map((value) => value.count));
  return h("section", { class: "facet" }, h("h3", {}, label),
    h("ul", {}, shown.map((value) => line(value, most, name === "dates" ? toggleDates : toggleFilter))),
    values.length > shown.length && h("button", { type: "button", class: "quiet", "data-key": `more ${name}`, onclick: () => { opened.add(name); show(); } }, `Show all ${count(values.length)}`),
    (all || values.length === shown.length) && (current?.more?.[name] ?? 0) > 0 && h("p", { class: "fine" }, `and ${count(current?.more?.[name] ?? 0)} more`),
    all && values.length > FEW && h("button", { type: "button", class: "quiet", "data-key": `more ${name}`, onclick: () => { opened.delete(name); show(); } }, "Show fewer"),
  );
}

/** @param {FacetValue} value @param {number} most @param {(filter: string) => void} toggle @returns {HTMLElement} */
function line(value, most, toggle) {
  const { filter, selected, children = [] } = value;
  const open = opened.has(filter) || children.some((child) => child.selected);
  const bar = h("span", { class: "share", "aria-hidden": "true" });
  bar.style.width = `${Math.max(1, (100 * value.count) / most)}%`;
  return h("li", {},
    h("div", { class: "line" },
      h("label", { class: selected ? "value selected" : "value" },
        h("input", { type: "checkbox", checked: selected, "data-key": filter, onchange: () => toggle(filter) }),
        h("span", { class: "label" }, value.label), h("span", { class: "count" }, count(value.count)), bar),
      children.length > 0 && h("button", { type: "button", class: "expand", "data-key": `open ${filter}`, "aria-expanded": String(open), "aria-label": `Parts of ${value.label}`, onclick: () => { if (opened.has(filter)) opened.delete(filter); else opened.add(filter); show(); } }, icon("down")),
    ),
    open && children.length > 0 && h("ul", {}, children.map((child) => line(child, most, toggle))),
  );
}

