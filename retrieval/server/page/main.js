/**
 * The page of `twinlens serve`: plain modules, no build step, nothing from another host.
 *
 *   state.js      the state and the address of the page; every change goes through `store`
 *   query.js      changes to the query: more like this, terms, filters
 *   grammar.js    a query as text, and as words, terms and filters
 *   api.js        the server; types.js has the shapes
 *   results.js    the running search, its pages, and searches kept for Back
 *   layout.js     where each picture stands (no document); grid.js draws those near the screen
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

import { ask, clearAll } from "./query.js";
import { byId, fill, h } from "./dom.js";
import { capital, dayOf } from "./format.js";
import { currentLibrary, onLibrary, startStatus } from "./status.js";
import { grid } from "./grid.js";
import { isAsked, showViews } from "./views.js";
import { openPhoto, startLightbox } from "./lightbox.js";
import { results } from "./results.js";
import { shortcuts, startKeys } from "./keys.js";
import { startFilters } from "./filters.js";
import { startHelp } from "./help.js";
import { startOtherViews } from "./otherviews.js";
import { startPictures } from "./pictures.js";
import { startSearchBox, wholeQuery } from "./searchbox.js";
import { startSelecting } from "./selecting.js";
import { startTiles } from "./tiles.js";
import { startToolbar } from "./toolbar.js";
import { store, toAddress } from "./state.js";

const LEVELS = ["very likely", "likely", "perhaps"];

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
    grid.show(empty ? [] : hits, { labels: labels(), divider: answer?.by_date ? null : (answer?.divider ?? null) }, fresh);
    if (fresh) scrollTo({ top: results.top });
  }
}

/** Name the day of each hit, or how likely it is: the lowest level so far, so that it only sinks. */
function labels() {
  const { hits, answer } = results;
  if (!answer) return [];
  if (answer.by_date) return hits.map(dayOf);
  let level = 0;
  return hits.map(({ likelihood }, at) => {
    if (!likelihood || (answer.divider !== null && at >= answer.divider)) return "";
    level = Math.max(level, LEVELS.indexOf(likelihood));
    return capital(LEVELS[level]);
  });
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
    ...ways.map(([way, ...keys]) => ({ keys, label: `Go ${way}`, scope: /** @type {const} */ ("grid"), run: () => (free() ? grid.move(way) : false) })),
    { keys: ["Home"], label: "Go to the first", scope: "grid", run: () => (free() ? grid.focus(0) : false) },
    { keys: ["End"], label: "Go to the last that is loaded", scope: "grid", run: () => (free() ? grid.focus(grid.hits.length - 1) : false) },
    { keys: ["Escape"], label: "Leave what is open; then clear the search", scope: "grid", run: () => (free() && isAsked(store.state) ? ask({ words: "", terms: [] }) : false) },
  );
}

function start() {
  history.scrollRestoration = "manual";
  byId("brand", HTMLElement).addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    clearAll();
  });
  grid.onopen = openPhoto;
  grid.onend = () => results.problem || void results.more();
  grid.link = (hit) => toAddress({ ...store.state, photo: hit.id });
  results.subscribe(show);
  onLibrary(() => showViews(currentLibrary()));
  startTiles();
  startSelecting();
  startSearchBox();
  startToolbar();
  startFilters();
  startPictures();
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
  startHelp();
  startKeys();
}

start();
