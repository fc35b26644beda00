/**
 * The line below the search box: filters, photos or texts, how many, the order, the instruction.
 *
 * @typedef {import("./types.js").State} State
 */

import { announce, attempt } from "./announce.js";
import { ask } from "./query.js";
import { byId, fill, h } from "./dom.js";
import { counted } from "./format.js";
import { filterChips } from "./chips.js";
import { grid } from "./grid.js";
import { icon } from "./icons.js";
import { results } from "./results.js";
import { shortcuts } from "./keys.js";
import { remember, remembered, store } from "./state.js";
import { isAsked } from "./views.js";

const ORDERS = /** @type {const} */ ([["score", "Best match"], ["date", "Newest first"], ["oldest", "Oldest first"]]);

const SIZE = "size"; // of the pictures, in this browser

const total = h("p", { class: "total", id: "total" });
const active = h("ul", { class: "chips", "aria-label": "Filters in use" });
const filterButton = h("button", { type: "button", class: "tool", "aria-label": "Filters", "aria-controls": "filters", onclick: () => toggleFilters() }, icon("filter"), h("span", { class: "wide" }, "Filters"));
const instructButton = h("button", { type: "button", class: "tool", "aria-label": "Instruction", title: "Say what the photos must have, or must not", onclick: () => openInstruction(true) }, icon("instruct"), h("span", { class: "wide" }, "Instruction"));
const instruction = h("input", { type: "text", id: "instruction", maxlength: 500, "aria-label": "Instruction", placeholder: "only photos with snow", enterkeyhint: "search" });
const instructForm = h("form", { class: "instruct", hidden: true, onsubmit: (event) => { event.preventDefault(); instruct(instruction.value); } },
  h("label", { for: "instruction" }, "Instruction"), instruction,
  h("button", { type: "button", class: "remove", "aria-label": "Remove the instruction", onclick: () => { instruct(""); openInstruction(false); } }, icon("close")));
const sizes = h("input", { type: "range", class: "sizes", min: 0.5, max: 2.2, step: 0.1, "aria-label": "Size of the pictures", title: "Size of the pictures", oninput: () => resize(Number(sizes.value)) });
const order = h("select", { "aria-label": "Order", onchange: () => ask({ sort: /** @type {State["sort"]} */ (order.value) }) });
const tabs = h("div", { class: "tabs", role: "group", "aria-label": "What to find" }, tab("photos", "Photos"), tab("texts", "Texts"));

/** @type {Promise<typeof import("./filters.js")> | undefined} */
let panel;

/** Show or hide the filters, which are loaded when they are first wanted. @param {boolean} [focus] */
async function toggleFilters(focus) {
  panel ??= import("./filters.js").then((module) => {
    module.startFilters();
    return module;
  });
  await attempt(async () => (await panel)?.toggleFilters(focus));
}

/** Begin. */
export function startToolbar() {
  byId("tools", HTMLElement).append(
    h("div", { class: "line" }, filterButton, tabs, total, h("span", { class: "space" }), instructButton, sizes, order),
    instructForm, active,
  );
  instruction.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    openInstruction(Boolean(store.state.instruct));
    instructButton.focus();
  });
  store.subscribe(show);
  results.subscribe(showTotal);
  show(store.state);
  resize(Number(remembered(SIZE)) || 1);
  if (remembered("filters") === "open" && innerWidth >= 1000) void toggleFilters(false);
  shortcuts(
    { keys: ["]"], label: "Larger pictures", scope: "grid", run: () => resize(grid.scale + 0.1) },
    { keys: ["["], label: "Smaller pictures", scope: "grid", run: () => resize(grid.scale - 0.1) },
    { keys: ["\\"], label: "Show or hide the filters", scope: "grid", run: () => void toggleFilters() },
    { keys: ["i"], label: "Write an instruction", scope: "grid", run: () => openInstruction(true) },
  );
}

/** @param {State} state */
function show(state) {
  const usual = isAsked(state) ? "score" : "date";
  const orders = ORDERS.filter(([value]) => value !== "score" || isAsked(state));
  fill(order, orders.map(([value, label]) => h("option", { value: value === usual ? "" : value, selected: value === (state.sort || usual) }, label)));
  order.hidden = sizes.hidden = state.for === "texts";
  for (const each of tabs.children) each.setAttribute("aria-pressed", String(each.getAttribute("value") === state.for));
  const chips = filterChips(state.filters);
  fill(active, chips, chips.length > 1 && h("li", {}, h("button", { type: "button", class: "quiet", onclick: () => ask({ filters: [] }) }, "Remove all")));
  active.hidden = !state.filters.length;
  filterButton.setAttribute("aria-expanded", String(!byId("filters", HTMLElement).hidden));
  if (document.activeElement !== instruction) instruction.value = state.instruct;
  if (state.instruct) instructForm.hidden = false;
  instructButton.setAttribute("aria-expanded", String(!instructForm.hidden));
}

function showTotal() {
  const { answer, status } = results;
  const text = status === "ready" && answer ? said(answer) : "";
  const changed = total.textContent !== text;
  total.textContent = text;
  if (status === "ready" && changed) announce(text);
  else if (status === "nothing") announce("Nothing matches");
}

/** @param {import("./types.js").Answer} answer @returns {string} */
function said({ total, complete }) {
  const texts = store.state.for === "texts";
  const whole = results.next === null; // then all are here, and can be counted
  return `${complete || whole ? "" : "More than "}${counted(whole ? results.hits.length : total, texts ? "text" : "photo")}`;
}

/** @param {number} scale */
function resize(scale) {
  grid.scale = scale;
  sizes.value = String(grid.scale);
  remember(SIZE, sizes.value);
}

/** @param {string} text */
function instruct(text) {
  ask({ instruct: text.trim() });
}

/** @param {boolean} shown */
function openInstruction(shown) {
  instructForm.hidden = !shown;
  instructButton.setAttribute("aria-expanded", String(shown));
  if (shown) instruction.focus();
}

/** @param {State["for"]} value @param {string} label @returns {HTMLButtonElement} */
function tab(value, label) {
  return h("button", { type: "button", value, "aria-pressed": "false", onclick: () => ask({ for: value }) }, label);
}

