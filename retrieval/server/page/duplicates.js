/**
 * The view of copies: what to keep of each group, and why. It moves nothing; it writes a list.
 *
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {Hit & {keep: boolean, why: string, bytes?: number | null}} Copy
 * @typedef {{kind?: string, items: Copy[]}} Group
 */

import { announce, attempt, toast } from "./announce.js";
import { count, counted, momentOf, size, spoken } from "./format.js";
import { download, FORMATS } from "./exporting.js";
import { fill, h } from "./dom.js";
import { get, thumbAt } from "./api.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { store } from "./state.js";

const POLL = 700; // ms between two questions whether the comparison is done
const AT_ONCE = 40; // groups that are drawn; more on request

/** What people decided in this tab, by the id of the photo. @type {Map<number, boolean>} */
const decided = new Map();

/** Show the copies. @param {HTMLElement} place @param {AbortSignal} signal */
export async function showDuplicates(place, signal) {
  fill(place, waiting());
  const groups = await compared(place, signal);
  if (!signal.aborted) draw(place, groups);
}

/** @param {number | null} [share] from 0 to 1 @returns {HTMLElement} */
function waiting(share = null) {
  return h("div", { class: "waiting", role: "status" }, h("progress", { value: share, max: 1, "aria-label": "Comparing" }),
    h("span", {}, "Comparing the photos …"));
}

/** Ask until the server has compared all. @param {HTMLElement} place @param {AbortSignal} signal @returns {Promise<Group[]>} */
async function compared(place, signal) {
  for (;;) {
    const answer = await get("/duplicates", {}, signal);
    if (answer.groups) return answer.groups;
    fill(place, waiting(answer.total ? answer.done / answer.total : null));
    await new Promise((resolve) => setTimeout(resolve, POLL));
    signal.throwIfAborted();
  }
}

/** @param {HTMLElement} place @param {Group[]} groups */
function draw(place, groups) {
  const summary = h("p", { class: "summary", role: "status" });
  const list = h("div", { class: "copies" });
  const more = h("button", { type: "button", class: "quiet", onclick: () => add() }, "Show more groups");
  const save = h("button", { type: "button", class: "primary", "aria-haspopup": "menu", onclick: (event) => openSave(event, groups) },
    icon("download"), "Save the list");
  if (!groups.length) {
    fill(place, h("p", { class: "empty" }, "No photo of this library is a copy of another."));
    return;
  }
  fill(place, h("div", { class: "view-bar" }, summary, save), list, more);
  const changed = () => {
    summary.textContent = summed(groups);
    save.disabled = !dropped(groups).length;
  };
  let drawn = 0;
  function add() {
    const next = groups.slice(drawn, drawn + AT_ONCE);
    list.append(...next.map((group, at) => drawGroup(group, drawn + at, changed)));
    drawn += next.length;
    more.hidden = drawn >= groups.length;
  }
  add();
  changed();
}

/** @param {Group} group @param {number} number @param {() => void} changed @returns {HTMLElement} */
function drawGroup(group, number, changed) {
  const kind = group.kind === "exact" ? "the same picture" : group.kind === "near" ? "nearly the same picture" : "copies";
  const element = h("section", { class: "group", "aria-label": `Group ${number + 1}: ${counted(group.items.length, "photo")}` },
    h("h3", {}, `${counted(group.items.length, "photo")}, ${kind}`),
    h("ul", {}, ...group.items.map((item) => drawCopy(item, group, () => { refresh(); changed(); }))));

  function refresh() {
    group.items.forEach((item, at) => element.querySelectorAll("li")[at].classList.toggle("dropped", !keeps(item)));
  }
  refresh();
  return element;
}

/** @param {Copy} item @param {Group} group @param {() => void} changed @returns {HTMLElement} */
function drawCopy(item, group, changed) {
  const facts = [item.width && `${item.width} × ${item.height}`, item.bytes && size(item.bytes), momentOf(item)];
  return h("li", {},
    h("button", { type: "button", class: "look", "aria-label": `Look at ${item.name}`, onclick: () => store.set({ photo: item.id }) },
      h("img", { src: thumbAt(item.thumb, 256), alt: spoken(item), width: item.width, height: item.height, loading: "lazy", decoding: "async" })),
    h("label", {}, h("input", { type: "checkbox", checked: keeps(item), onchange: (event) => decide(event, item, group, changed) }),
      h("span", {}, "Keep ", h("b", {}, item.name))),
    h("small", { class: "where" }, item.folder),
    h("small", {}, facts.filter(Boolean).join(" · ")),
    item.why && h("small", { class: "why" }, item.why),
  );
}

/** One of a group always stays. @param {Event} event @param {Copy} item @param {Group} group @param {() => void} changed */
function decide(event, item, group, changed) {
  const box = /** @type {HTMLInputElement} */ (event.currentTarget);
  if (!box.checked && !group.items.some((each) => each !== item && keeps(each))) {
    box.checked = true;
    toast("One photo of each group stays. Keep another one first.");
    return;
  }
  decided.set(item.id, box.checked);
  changed();
  announce(`${box.checked ? "Keeps" : "Lists"} ${item.name}`);
}

/** @param {Copy} item @returns {boolean} */
function keeps(item) {
  return decided.get(item.id) ?? item.keep;
}

/** @param {Group[]} groups @returns {Copy[]} */
function dropped(groups) {
  return groups.flatMap((group) => group.items.filter((item) => !keeps(item)));
}

/** @param {Group[]} groups @returns {string} */
function summed(groups) {
  const gone = dropped(groups);
  const bytes = gone.reduce((sum, item) => sum + (item.bytes ?? 0), 0);
  const room = bytes ? `, ${size(bytes)}` : "";
  return `${counted(groups.length, "group")}, ${counted(gone.length, "photo")} on the list${room}`;
}

/** @param {Event} event @param {Group[]} groups */
function openSave(event, groups) {
  const opener = /** @type {HTMLElement} */ (event.currentTarget);
  const listed = FORMATS.filter(([format]) => format !== "zip");
  openMenu(opener, listed.map(([format, label]) => ({ label, run: () => attempt(() => saveAs(format, dropped(groups))) })));
}

/** @param {import("./exporting.js").Format} format @param {Copy[]} copies */
async function saveAs(format, copies) {
  const name = await download({ ids: copies.map((each) => each.id) }, format);
  toast(`Saved the list of ${count(copies.length)} as ${name}. No file was changed.`);
}
