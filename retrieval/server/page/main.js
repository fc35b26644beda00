/**
 * The page of `twinlens serve`: plain modules, no build step, nothing from another host.
 *
 *   state.js      the state and the address of the page; every change goes through `store`
 *   query.js      changes to the query: more like this, terms, filters
 *   grammar.js    a query as text, and as words, terms and filters
 *   api.js        the server; types.js has the shapes
 *   results.js    the running search, its pages, and searches kept for Back
 *   layout.js     where each picture stands (no document); headings.js their headings;
 *                 grid.js draws those near the screen
 *   searchbox.js  words, chips, suggestions        pictures.js  drop, paste and choose a picture
 *   toolbar.js    tabs, total, order, instruction  filters.js   facets
 *   views.js      nothing matches, errors, empty   status.js    libraries and what happens in them
 *   lightbox.js   one photo large                  menu.js      menus
 *   tiles.js      what can be done with a tile
 *   selection.js  the photos that are selected      selecting.js  marks, keys and the bar for it
 *   exporting.js  lists and ZIPs to save            teaching.js   a name for what is selected
 *   otherviews.js the views beside the search: duplicates.js (copies) and names.js
 *   dialog.js     dialogs                           help.js       keys and words
 *   keys.js       every key: `shortcuts({keys, label, scope, run})`; the help lists them
 *   dom.js, icons.js, format.js, announce.js
 *
 * A module that adds to tiles pushes to `tileParts` (grid.js). One that shows something else than
 * the search listens to `store` and looks at `state.view`. Modules never write markup: `h` makes
 * elements, and texts are text nodes.
 */

import { toast } from "./announce.js";
import { ask, clearAll } from "./query.js";
import { byId, fill, h } from "./dom.js";
import { currentLibrary, onLibrary, startStatus } from "./status.js";
import { dayLabels, levelLabels } from "./headings.js";
import { grid } from "./grid.js";
import { isAsked, showViews } from "./views.js";
import { results } from "./results.js";
import { shortcuts, startKeys } from "./keys.js";
import { startOtherViews } from "./otherviews.js";
import { startPictures } from "./pictures.js";
import { startSearchBox, wholeQuery } from "./searchbox.js";
import { startSelecting } from "./selecting.js";
import { startTiles } from "./tiles.js";
import { startToolbar } from "./toolbar.js";
import { store, toAddress } from "./state.js";

/** The answer that is drawn; another one is another search. @type {unknown} */
let drawn = null;

/** Draw what was found, or why there is nothing. */
function show() {
  const { status, hits, answer } = results;
  document.documentElement.classList.toggle("loading", status === "loading" || (status === "first" && !results.problem));
  showViews(currentLibrary());
  showEnd();
  if (status === "first") grid.showSkeleton();
  else if (status !== "loading") {
    const fresh = answer !== drawn;
    drawn = answer;
    const empty = status === "failed" && !hits.length;
    grid.show(empty ? [] : hits, breaks(), fresh);
    if (fresh) scrollTo({ top: results.top });
  }
}

/** @returns {import("./grid.js").Breaks} the headings, and where the unlikely hits begin */
function breaks() {
  const { hits, answer } = results;
  if (!answer || store.state.for === "texts") return { labels: () => [], divider: answer?.divider ?? null };
  if (answer.by_date) return { labels: (perRow) => dayLabels(hits, perRow), divider: null };
  return { labels: (perRow) => levelLabels(hits, answer.divider, perRow), divider: answer.divider };
}

/** What stands below the pictures: the next page, or that this is all. */
function showEnd() {
  const { next, reading, problem, status } = results;
  const end = byId("end", HTMLElement);
  if (status !== "ready" || !next) return fill(end);
  const label = reading ? "Loading …" : problem ? "Try again" : "Load more";
  fill(end, h("button", { type: "button", class: "button", disabled: reading, onclick: () => results.more() }, label));
}

/** Name the page after what it shows. */
function showTitle() {
  const asked = wholeQuery();
  document.title = asked ? `${asked} · twinlens` : "twinlens";
  const texts = store.state.for === "texts";
  byId("title", HTMLElement).textContent = isAsked(store.state) ? `Results for ${asked}` : texts ? "Texts" : "Photos";
  byId("grid", HTMLElement).setAttribute("aria-label", texts ? "Texts" : "Photos");
}

/** Move with the arrows, and with the letters of vi, while the focus is among the pictures. */
function startMoving() {
  const free = () => grid.hasFocus || document.activeElement === document.body || document.activeElement === byId("results", HTMLElement);
  const ways = /** @type {const} */ ([["left", "ArrowLeft", "h"], ["down", "ArrowDown", "j"], ["up", "ArrowUp", "k"], ["right", "ArrowRight", "l"]]);
  shortcuts(
    ...ways.map(([way, ...keys], at) => ({
      keys, label: at ? "" : "Move", shown: ["ArrowLeft", "ArrowDown", "ArrowUp", "ArrowRight", "h", "j", "k", "l"],
      scope: /** @type {const} */ ("grid"), run: () => (free() ? grid.move(way) : false),
    })),
    { keys: ["Home"], label: "Go to the first", scope: "grid", run: () => (free() ? grid.focus(0) : false) },
    { keys: ["End"], label: "Go to the last that is loaded", scope: "grid", run: () => (free() ? grid.focus(grid.hits.length - 1) : false) },
    { keys: ["Escape"], label: "Leave what is open; then clear the search", scope: "grid", run: () => (free() && isAsked(store.state) ? ask({ words: "", terms: [] }) : false) },
  );
}

/** Load what shows one photo large when it is asked for, or when nothing else is to be done. */
function startLightbox() {
  /** @type {Promise<void> | undefined} */
  let loaded;
  const load = () => (loaded ??= import("./lightbox.js").then(
    (module) => module.startLightbox(),
    () => toast("The page could not be loaded whole; reload it"),
  ));
  store.subscribe(({ photo }) => photo !== null && load());
  if (store.state.photo !== null) void load();
  else setTimeout(load, 1000);
}

function start() {
  addEventListener("scroll", () => document.documentElement.classList.toggle("scrolled", scrollY > 8), { passive: true });
  history.scrollRestoration = "manual";
  byId("brand", HTMLElement).addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    clearAll();
  });
  grid.onopen = (index) => store.set({ photo: grid.hits[index].id });
  grid.onend = () => results.problem || void results.more();
  grid.link = (hit) => toAddress({ ...store.state, photo: hit.id });
  results.subscribe(show);
  onLibrary(() => showViews(currentLibrary()));
  startTiles();
  startSearchBox();
  startToolbar();
  startPictures();
  startSelecting(); // before what else Esc does
  startMoving();
  store.subscribe((state) => {
    results.follow(state);
    showTitle();
  });
  results.limit = grid.screenful;
  showTitle();
  show();
  results.follow(store.state);
  startStatus();
  startLightbox();
  startOtherViews();
  startKeys();
}

start();
