/** What stands beside the search, loaded when it is wanted: copies and names, each with an address of its own, and the help. */

import { attempt } from "./announce.js";
import { asProblem } from "./results.js";
import { byId, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { shortcuts } from "./keys.js";
import { store } from "./state.js";

/** @typedef {import("./types.js").State} State */

const VIEWS = {
  duplicates: {
    title: "Copies",
    about: "Photos that show the same picture. Decide what to keep, then save the list of the rest. "
      + "Nothing is moved or deleted here.",
    load: async () => (await import("./duplicates.js")).showDuplicates,
  },
  names: {
    title: "Learned names",
    about: "To teach one, select about five photos of it and choose “Give a name”.",
    load: async () => (await import("./names.js")).showNames,
  },
};

const place = h("section", { id: "view", "aria-labelledby": "view-title", hidden: true });
let running = new AbortController();

/** Begin to follow the address. */
export function startOtherViews() {
  byId("results", HTMLElement).append(place);
  byId("corner", HTMLElement).append(h("button", {
    type: "button", class: "icon-button", title: "More", "aria-label": "More", "aria-haspopup": "menu", onclick: openMore,
  }, icon("more")));
  store.subscribe((state, before) => {
    if (state.view !== before.view || state.library !== before.library) show(state, state.view !== before.view);
  });
  shortcuts({ keys: ["?"], label: "Show this help", scope: "any", run: openHelp });
  show(store.state, false);
}

function openHelp() {
  void attempt(async () => (await import("./help.js")).openHelp());
}

/** @param {Event} event */
function openMore(event) {
  const { view } = store.state;
  openMenu(/** @type {HTMLElement} */ (event.currentTarget), [
    { label: "Photos", icon: "picture", checked: view === "search", run: () => store.set({ view: "search" }) },
    { label: "Copies", icon: "copies", checked: view === "duplicates", run: () => store.set({ view: "duplicates", photo: null }) },
    { label: "Learned names", icon: "tag", checked: view === "names", run: () => store.set({ view: "names", photo: null }) },
    { label: "Keys and words", icon: "help", key: "?", apart: true, run: openHelp },
  ]);
}

/** @param {State} state @param {boolean} moved whether the focus follows */
async function show(state, moved) {
  running.abort();
  const { signal } = (running = new AbortController());
  document.body.dataset.view = state.view;
  place.hidden = state.view === "search";
  fill(place);
  if (state.view === "search") return;
  const { title, about, load } = VIEWS[state.view];
  const heading = h("h2", { id: "view-title", tabindex: -1 }, title);
  const content = h("div", {}, h("p", { role: "status" }, "One moment …"));
  fill(place, h("button", { type: "button", class: "quiet back", onclick: () => store.set({ view: "search" }) }, icon("left"), "Back to the photos"),
    h("div", { class: "view-head" }, heading, h("p", {}, about)), content);
  if (moved) heading.focus({ preventScroll: true });
  try {
    const begin = await load();
    await begin(content, signal);
  } catch (error) {
    if (!signal.aborted) fill(content, h("p", { class: "wrong", role: "alert" }, asProblem(error).message));
  }
}
