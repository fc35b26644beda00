/** Teaching a name: the dialog that learns what some selected photos are called. */

import { announce, toast } from "./announce.js";
import { ask } from "./query.js";
import { asProblem } from "./results.js";
import { counted } from "./format.js";
import { fill, h } from "./dom.js";
import { openDialog } from "./dialog.js";
import { onLearning } from "./status.js";
import { send } from "./api.js";

const ENOUGH = 5; // photos from which a name is learned well
const MOST = 50; // more teach nothing new, and take longer

/**
 * Ask for the name of what these photos show, and learn it.
 * @param {readonly number[]} ids
 */
export function openTeaching(ids) {
  const name = h("input", { type: "text", name: "name", required: true, maxlength: 60, autocomplete: "off", placeholder: "Rex" });
  const like = h("input", { type: "text", name: "like", maxlength: 60, autocomplete: "off", placeholder: "dog" });
  const state = h("div", { class: "teaching-state", role: "status" });
  const learn = h("button", { type: "submit", class: "primary" }, "Learn the name");
  const cancel = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel");
  const running = new AbortController();
  const form = h("form", { class: "teaching", onsubmit: (event) => { event.preventDefault(); start(); } },
    h("p", {}, `Give a name to what ${counted(ids.length, "photo")} ${ids.length === 1 ? "shows" : "show"}: a pet, a person, a place, a thing. `
      + "Then search for it by that name, alone or with other words."),
    advice(ids.length),
    h("label", {}, h("span", {}, "Name"), name),
    h("label", {}, h("span", {}, "What it is, in plain words ", h("small", {}, "(may be left empty)")), like),
    state,
    h("div", { class: "actions" }, cancel, learn),
  );
  const dialog = openDialog({ title: "Give a name", label: "teach", content: [form], closed: () => running.abort() });
  name.focus();

  async function start() {
    for (const each of [name, like, learn]) each.disabled = true;
    const learned = name.value.trim();
    const bar = h("progress", { "aria-label": "Learning" });
    fill(state, bar, h("span", {}, "Learning the name. This takes about half a minute."));
    const stop = onLearning(({ learns, done, total }) => {
      if (learns === learned && total) bar.value = done / total;
    });
    try {
      await send("/names", { name: learned, items: ids.slice(0, MOST), like: like.value.trim() }, { signal: running.signal });
    } catch (error) {
      if (running.signal.aborted) return;
      for (const each of [name, like, learn]) each.disabled = false;
      fill(state, h("p", { class: "wrong" }, asProblem(error).message));
      name.focus();
      return;
    } finally {
      stop();
    }
    dialog.close();
    announce(`Learned the name ${learned}`);
    toast(`Learned “${learned}”`, { label: "Search for it", run: () => ask({ words: learned, terms: [], filters: [] }) });
  }
}

/** @param {number} count @returns {HTMLElement | null} */
function advice(count) {
  if (count < ENOUGH) return h("p", { class: "advice" }, `About ${ENOUGH} photos from different sides teach a name best.`);
  if (count > MOST) return h("p", { class: "advice" }, `The first ${MOST} are used.`);
  return null;
}
