/**
 * Selecting: the mark on each tile, the keys, and the bar that says what to do with the selection.
 *
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./exporting.js").Format} Format
 */

import { announce, attempt, toast } from "./announce.js";
import { results } from "./results.js";
import { asked, get } from "./api.js";
import { count, counted } from "./format.js";
import { byId, fill, h } from "./dom.js";
import { grid, tileParts } from "./grid.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { selection } from "./selection.js";
import { shortcuts } from "./keys.js";
import { store } from "./state.js";
import { tileChoices } from "./tiles.js";
import { isAsked } from "./views.js";

const PAGE = 16_384; // ids asked for at once

/** Where there is no mouse, marks are shown and touched after this was pressed. */
const chooser = h("button", { type: "button", id: "choose", class: "tool", "aria-pressed": "false", "aria-label": "Select", onclick: () => choosing(!chooses) }, icon("check"), h("span", { class: "wide" }, "Select"));
let chooses = false;

const bar = h("section", { id: "selection", "aria-label": "Selection", hidden: true });

/** Begin to listen. */
export function startSelecting() {
  byId("results", HTMLElement).append(bar);
  byId("tools", HTMLElement).querySelector(".line")?.append(chooser);
  tileParts.push(mark);
  tileChoices.push((hit) => [
    { label: selection.has(hit.id) ? "Take out of the selection" : "Select", icon: "check", key: "x", apart: true, run: () => toggleHit(hit) },
  ]);
  selection.subscribe(show);
  results.subscribe(show);
  store.subscribe((state, before) => {
    if (state.library !== before.library) selection.clear(); // ids are those of one library
  });
  const pictures = byId("grid", HTMLElement);
  pictures.setAttribute("aria-multiselectable", "true");
  pictures.addEventListener("click", clicked, true);
  shortcuts(
    { keys: ["x"], label: "Select, or take out of the selection", scope: "grid", run: () => inGrid(toggle) },
    { keys: ["X"], label: "Select all from the last one to here", scope: "grid", run: () => inGrid(extend) },
    { keys: ["Mod+a"], label: "Select all that are shown", scope: "grid", run: () => inGrid(selectShown) },
    { keys: ["e"], label: "Export what is selected", scope: "grid", run: () => press("export") },
    { keys: ["n"], label: "Give a name to what is selected", scope: "grid", run: () => press("name") },
    { keys: ["x"], label: "Select, or take out of the selection", scope: "lightbox", run: toggleLarge },
    { keys: ["Escape"], label: "Drop the selection", scope: "grid", run: drop },
  );
}

/** Press a button of the bar, if it is there. @param {string} name @returns {false | void} */
function press(name) {
  const found = bar.hidden ? null : bar.querySelector(`[data-name="${name}"]`);
  if (!(found instanceof HTMLElement)) return false;
  found.focus(); // it gets the focus back when what it opens is closed
  found.click();
}

/** Do something with the picture that has the focus. @param {(index: number) => void} run @returns {false | void} */
function inGrid(run) {
  if (!grid.focusedHit) return false;
  run(grid.active);
}

/** Add the mark to a tile. @param {HTMLElement} tile @param {Hit} hit @param {number} index */
function mark(tile, hit, index) {
  const chosen = selection.has(hit.id);
  choose(tile, chosen);
  tile.append(h("button", {
    type: "button", class: "mark", role: "checkbox", "aria-checked": String(chosen), tabindex: -1,
    "aria-label": `Select ${hit.name}`, onclick: (event) => marked(event, index),
  }, icon("check")));
}

/** @param {HTMLElement} tile @param {boolean} chosen */
function choose(tile, chosen) {
  tile.classList.toggle("selected", chosen);
  tile.setAttribute("aria-selected", String(chosen));
}

/** @param {Event} event @param {number} index */
function marked(event, index) {
  if (event instanceof MouseEvent && event.shiftKey) extend(index);
  else toggle(index);
}

/** A click on a picture selects it while Shift or Ctrl is held, or photos are chosen by touch. @param {MouseEvent} event */
function clicked(event) {
  const tile = event.target instanceof Element && event.target.closest(".open") ? event.target.closest(".tile") : null;
  const instead = event.shiftKey || event.ctrlKey || event.metaKey || chooses;
  if (!(tile instanceof HTMLElement) || !instead) return;
  event.preventDefault();
  event.stopPropagation();
  const index = Number(tile.dataset.index);
  if (event.shiftKey) extend(index);
  else toggle(index);
}

/** @param {boolean} on */
function choosing(on) {
  chooses = on;
  chooser.setAttribute("aria-pressed", String(on));
  if (!on) selection.clear();
  show();
}

/** @param {number} index */
function toggle(index) {
  if (grid.hits[index]) toggleHit(grid.hits[index]);
}

/** @param {Hit} hit */
function toggleHit(hit) {
  selection.toggle(hit);
  announce(`${selection.has(hit.id) ? "Selected" : "Not selected"}: ${hit.name}. ${said()}`);
}

/** @param {number} index */
function extend(index) {
  if (!grid.hits[index]) return;
  selection.extend(grid.hits, index);
  announce(said());
}

function toggleLarge() {
  const hit = results.hits.find((each) => each.id === store.state.photo);
  if (!hit) return;
  selection.toggle(hit);
  toast(`${selection.has(hit.id) ? "Selected" : "Not selected"}: ${hit.name}. ${said()}`);
}

function selectShown() {
  selection.add(grid.hits);
  announce(said());
}

/** @returns {false | void} */
function drop() {
  if (!selection.size) return false;
  choosing(false);
  announce("Nothing is selected");
}

/** Select what the query finds, beyond what was read so far. */
async function selectMatching() {
  const query = asked(store.state);
  /** @type {number[]} */
  const ids = [];
  /** @type {string | null} */
  let cursor = null;
  do {
    const page = await get("/ids", { ...query, limit: PAGE, cursor });
    ids.push(...page.ids);
    cursor = page.next;
  } while (cursor);
  selection.replace(ids, query);
  announce(said());
}

/** @returns {string} */
function said() {
  return selection.size ? `${count(selection.size)} selected` : "Nothing is selected";
}

/** Show the bar while something is selected, and the marks as they are. */
function show() {
  markTiles();
  const held = bar.contains(document.activeElement);
  document.body.classList.toggle("selecting", chooses || selection.size > 0);
  bar.hidden = !selection.size;
  if (bar.hidden) {
    if (held) grid.focus(grid.active);
    return;
  }
  const focused = held && document.activeElement instanceof HTMLElement ? document.activeElement.dataset.name : "";
  fill(bar, ...parts());
  if (held) (/** @type {HTMLElement | null} */ (bar.querySelector(`[data-name="${focused}"]`)) ?? bar.querySelector("button"))?.focus();
}

function markTiles() {
  for (const button of document.querySelectorAll("#grid .mark")) {
    const tile = /** @type {HTMLElement} */ (button.closest(".tile"));
    const hit = grid.hits[Number(tile.dataset.index)];
    const chosen = hit !== undefined && selection.has(hit.id);
    button.setAttribute("aria-checked", String(chosen));
    choose(tile, chosen);
  }
}

/** @returns {(HTMLElement | null)[]} */
function parts() {
  const shown = grid.hits.filter((hit) => !selection.has(hit.id)).length;
  const words = isAsked(store.state); // then all photos are answers, and the likely ones are meant
  const more = selection.query === null && (words || results.next !== null);
  return [
    h("strong", { class: "count" }, said()),
    shown ? button("shown", `Select all ${count(grid.hits.length)} shown`, selectShown) : null,
    more ? button("matching", words ? "Select all likely matches" : `Select all ${count(results.answer?.total ?? 0)} matching`, () => void attempt(selectMatching)) : null,
    h("span", { class: "apart" },
      button("name", "Give a name…", teach, "tag"),
      button("export", "Export", openExport, "download"),
      button("clear", "Clear", drop, "close")),
  ];
}

/** @param {string} name @param {string} label @param {(event: Event) => void} run @param {Parameters<typeof icon>[0]} [drawn] */
function button(name, label, run, drawn) {
  const menu = name === "export" ? "menu" : null;
  return h("button", { type: "button", class: drawn ? "quiet" : "quiet all", "data-name": name, "aria-haspopup": menu, onclick: run },
    drawn && icon(drawn), label);
}

function teach() {
  void attempt(async () => (await import("./teaching.js")).openTeaching(selection.ids));
}

/** @param {Event} event */
function openExport(event) {
  const opener = /** @type {HTMLElement} */ (event.currentTarget);
  void attempt(async () => {
    const { FORMATS } = await import("./exporting.js");
    openMenu(opener, FORMATS.map(([format, label]) => ({ label, run: () => attempt(() => exportAs(format)) })));
  });
}

/** @param {Format} format */
async function exportAs(format) {
  const what = counted(selection.size, "photo");
  toast(`Exporting ${what} …`);
  const { download } = await import("./exporting.js");
  const name = await download(selection.query ?? { ids: selection.ids }, format);
  toast(`Saved ${what} as ${name}`);
}
