/**
 * One photo large, with what is known of it; a film starts at the moment that was found.
 *
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./types.js").Item} Item
 */

import { addTerm, ask, moreLikeThis } from "./query.js";
import { capital, clock, count, likelihood, momentOf, size, spoken } from "./format.js";
import { copy, openTileMenu } from "./tiles.js";
import { enterScope, leaveScope, shortcuts } from "./keys.js";
import { filter } from "./grammar.js";
import { fill, h } from "./dom.js";
import { grid } from "./grid.js";
import { icon } from "./icons.js";
import { item, thumbAt } from "./api.js";
import { asProblem, results } from "./results.js";
import { remember, remembered, store } from "./state.js";

const KEY = "about"; // whether what is known of a photo is shown, in this browser
const SWIPE = 50; // pixels

const stage = h("div", { class: "stage", tabindex: -1 });
const about = h("aside", { class: "about", "aria-label": "About the photo" });
const place = h("p", { class: "place", role: "status" });
const previous = button("left", "The photo before", () => step(-1));
const next = button("right", "The next photo", () => step(1));
const toggle = button("info", "About the photo", () => showAbout(dialog.classList.contains("bare")));
const actions = h("div", { class: "actions" });
const dialog = h("dialog", { class: "lightbox", "aria-label": "Photo" },
  h("div", { class: "head" }, place, h("span", { class: "space" }), actions, toggle, button("close", "Close", close)),
  h("div", { class: "view" }, previous, stage, next), about);

/** @type {Hit | Item | null} */
let shown = null;
let running = new AbortController();
/** @type {Element | null} */
let before = null;

/** Begin. */
export function startLightbox() {
  document.body.append(dialog);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
  stage.addEventListener("click", (event) => {
    if (event.target === stage) close();
  });
  showAbout(remembered(KEY) === "shown" || (remembered(KEY) === null && innerWidth >= 1000));
  swipe();
  store.subscribe(({ photo }) => follow(photo));
  follow(store.state.photo);
  results.subscribe(() => shown && showPlace(shown.id));
  shortcuts(
    key(["ArrowRight", "l", "j", " "], "The next photo", () => step(1)),
    key(["ArrowLeft", "h", "k"], "The photo before", () => step(-1)),
    key(["i"], "Show or hide what is known of the photo", () => showAbout(dialog.classList.contains("bare"))),
    key(["f"], "More like this", () => act((hit) => moreLikeThis(hit.id))),
    key(["+", "="], "Add it to the query", () => act((hit) => addTerm({ item: hit.id, weight: 1 }))),
    key(["-"], "Take it away from the query", () => act((hit) => addTerm({ item: hit.id, weight: -1 }))),
    key(["c"], "Copy its path", () => act((hit) => void copy(hit.path, "the path"))),
    key(["z"], "Show it in full size", () => stage.classList.toggle("zoomed")),
    key(["q"], "Close it", close),
  );
}

/** @returns {Hit | null} the photo that is shown large */
export function shownPhoto() {
  return shown;
}

/** @param {number | null} id */
function follow(id) {
  if (id === (shown?.id ?? null)) return;
  if (id === null) hide();
  else void show(id);
}

/** @param {number} id */
async function show(id) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  open();
  const hit = grid.hits.find((each) => each.id === id);
  if (hit) draw(hit);
  try {
    const whole = await item(id, signal);
    if (signal.aborted) return;
    if (!hit) draw({ ...whole, match: null, likelihood: null });
    drawAbout({ ...whole, ...(hit ? { match: hit.match, likelihood: hit.likelihood, score: hit.score } : { match: null }) });
  } catch (error) {
    if (!signal.aborted && !hit) fill(stage, h("p", { class: "missing", role: "alert" }, capital(asProblem(error).message)));
  }
}

function open() {
  if (dialog.open) return;
  before = document.activeElement;
  dialog.showModal();
  stage.focus();
  document.documentElement.classList.add("covered");
  enterScope("lightbox");
}

function hide() {
  running.abort();
  const last = shown;
  shown = null;
  fill(stage); // stops a film
  dialog.close();
  document.documentElement.classList.remove("covered");
  leaveScope("lightbox");
  const index = last ? grid.hits.findIndex((hit) => hit.id === last.id) : -1;
  if (index >= 0) grid.focus(index);
  else if (before instanceof HTMLElement) before.focus();
}

/** Close, so that Back does not open it again. */
function close() {
  if (history.state?.inside && shown) history.back();
  else store.set({ photo: null }, { replace: true });
}

/** @param {1 | -1} way */
function step(way) {
  const at = grid.hits.findIndex((hit) => hit.id === shown?.id);
  const to = grid.hits[at + way];
  if (at < 0 || !to) return;
  store.set({ photo: to.id }, { replace: true });
  if (at + 12 > grid.hits.length) void results.more();
}

/** @param {Hit} hit */
function draw(hit) {
  shown = hit;
  stage.classList.remove("zoomed");
  fill(stage, hit.kind === "text" ? passage(hit) : hit.time === null ? photo(hit) : film(hit));
  fill(actions,
    button("similar", "More like this", () => act(({ id }) => moreLikeThis(id))),
    button("more", "More to do with it", (event) => act((each) => openTileMenu(/** @type {HTMLElement} */ (event.currentTarget), each))));
  showPlace(hit.id);
  drawAbout(hit);
  for (const id of [1, -1]) preload(id);
}

/** @param {Hit} hit @returns {(HTMLElement | SVGElement)[]} */
function photo(hit) {
  const small = picture(hit, 256);
  small.classList.add("blurred");
  const large = picture(hit, 1024);
  large.addEventListener("load", () => small.remove(), { once: true });
  large.addEventListener("error", () => small.classList.remove("blurred"), { once: true });
  large.addEventListener("click", () => zoom(hit, large));
  const marked = frames(hit);
  if (large.complete && large.naturalWidth) return [large, ...marked];
  return [small, large, ...marked];
}

/** Frame the lines of text that match; the drawing lies as the picture does. @param {Hit} hit @returns {SVGElement[]} */
function frames(hit) {
  if (!hit.lines.length || !hit.width || !hit.height) return [];
  const drawing = svg("svg", { class: "frames", "aria-hidden": "true", viewBox: `0 0 ${hit.width} ${hit.height}` });
  for (const { box: [left = 0, top = 0, width = 0, height = 0] } of hit.lines) {
    drawing.append(svg("rect", {
      x: left * hit.width, y: top * hit.height, width: width * hit.width, height: height * hit.height,
      "vector-effect": "non-scaling-stroke",
    }));
  }
  return [drawing];
}

/** @param {"svg" | "rect"} tag @param {Record<string, string | number>} props @returns {SVGElement} */
function svg(tag, props) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, String(value));
  return element;
}

/** @param {Hit} hit @param {256 | 1024} width @returns {HTMLImageElement} */
function picture(hit, width) {
  return h("img", { alt: width === 256 ? "" : spoken(hit), src: thumbAt(hit.thumb, width), width: hit.width || null, height: hit.height || null });
}

/** Show the file itself, or the small picture again. @param {Hit} hit @param {HTMLImageElement} image */
function zoom(hit, image) {
  if (stage.classList.toggle("zoomed") && /\.(jpe?g|png|gif|webp|avif)$/iu.test(hit.name)) image.src = hit.original;
}

/** @param {Hit} hit @returns {HTMLElement} */
function film(hit) {
  const video = h("video", { controls: true, preload: "metadata", playsinline: true, poster: thumbAt(hit.thumb, 1024), "aria-label": spoken(hit) });
  video.src = `${hit.original}#t=${hit.time}`;
  video.addEventListener("loadedmetadata", () => {
    const time = hit.time ?? 0;
    if (Math.abs(video.currentTime - time) > 0.5) video.currentTime = time;
  }, { once: true });
  video.addEventListener("error", () => {
    video.replaceWith(...photo(hit), h("p", { class: "missing" }, `This browser does not play the film; it is found at ${clock(hit.time ?? 0)}`));
  }, { once: true });
  return video;
}

/** @param {Hit} hit @returns {HTMLElement} */
function passage(hit) {
  return h("blockquote", { class: "passage" }, hit.text);
}

/** @param {Hit | Item} hit */
function drawAbout(hit) {
  const told = hit.about;
  const parts = /** @type {Partial<Item>} */ (hit);
  const shape = hit.width && hit.height ? `${count(hit.width)} × ${count(hit.height)}` : "";
  fill(about,
    h("h2", {}, told.title || hit.name),
    told.caption && h("p", { class: "words" }, told.caption),
    h("dl", {},
      row("Match", capital(likelihood(hit))),
      row("Taken", momentOf(hit)),
      row("Place", told.place && searchable(told.place, filter("near", `=${told.place}`))),
      row("Position", told.latitude != null && told.longitude != null && position(told.latitude, told.longitude)),
      row("Camera", told.camera && searchable(told.camera, filter("camera", `=${told.camera}`))),
      row("Lens", told.lens),
      row("Text", hit.lines.length ? h("q", { class: "read" }, hit.lines.map(({ text }) => text).join(" · ")) : ""),
      row("Rating", told.rating ? stars(told.rating) : ""),
      row("Keywords", told.keywords?.length ? h("ul", { class: "keywords" }, told.keywords.map((each) => h("li", {}, searchable(each, filter("tag", each))))) : ""),
      row("Size", [shape, parts.bytes ? size(parts.bytes) : ""].filter(Boolean).join(" · ")),
      row("At", hit.time === null ? "" : clock(hit.time)),
      row("Same shot", told.also?.length ? told.also.map((each) => h("div", {}, each)) : ""),
      row("File", h("div", { class: "path" }, h("code", {}, hit.path), button("copy", "Copy the path", () => copy(hit.path, "the path")))),
    ),
    parts.reachable === false && h("p", { class: "slip" }, "The file is not reachable now; its drive may be away."),
    parts.frames && parts.frames.length > 1 && moments(parts.frames),
    h("p", { class: "ways" }, h("a", { class: "button", href: hit.original, target: "_blank", rel: "noopener" }, "Open the file")),
  );
}

/** @param {{id: number, time: number}[]} frames @returns {HTMLElement} */
function moments(frames) {
  return h("section", { class: "moments" }, h("h3", {}, "Moments"),
    h("div", {}, frames.map(({ time }) => h("button", { type: "button", class: "quiet", onclick: () => seek(time) }, clock(time)))));
}

/** @param {number} time */
function seek(time) {
  const video = stage.querySelector("video");
  if (video) video.currentTime = time;
}

/** @param {string} name @param {import("./dom.js").Child | import("./dom.js").Child[]} value */
function row(name, value) {
  return value ? h("div", {}, h("dt", {}, name), h("dd", {}, value)) : null;
}

/** @param {string} label @param {string} written @returns {HTMLElement} */
function searchable(label, written) {
  return h("button", { type: "button", class: "link", title: "Show only these", onclick: () => ask({ filters: [...new Set([...store.state.filters, written])] }) }, label);
}

/** @param {number} latitude @param {number} longitude @returns {string} */
function position(latitude, longitude) {
  return `${Math.abs(latitude).toFixed(4)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude).toFixed(4)}° ${longitude < 0 ? "W" : "E"}`;
}

/** @param {number} rating @returns {HTMLElement} */
function stars(rating) {
  return h("span", { role: "img", "aria-label": `${rating} of 5 stars` }, "★".repeat(rating), h("span", { class: "empty" }, "★".repeat(Math.max(0, 5 - rating))));
}

/** @param {number} id */
function showPlace(id) {
  const at = grid.hits.findIndex((hit) => hit.id === id);
  const total = Math.max(results.answer?.total ?? 0, grid.hits.length);
  fill(place, at < 0 ? "" : `${count(at + 1)} of ${count(total)}`, h("span", { class: "unseen" }, shown ? spoken(shown) : ""));
  previous.disabled = at <= 0;
  next.disabled = at < 0 || at + 1 >= grid.hits.length;
}

/** @param {number} way */
function preload(way) {
  const at = grid.hits.findIndex((hit) => hit.id === shown?.id);
  const hit = at < 0 ? undefined : grid.hits[at + way];
  if (hit?.kind === "photo" && hit.thumb) new Image().src = thumbAt(hit.thumb, 1024);
}

/** @param {(hit: Hit) => void} run */
function act(run) {
  if (shown) run(shown);
}

/** @param {boolean} visible */
function showAbout(visible) {
  dialog.classList.toggle("bare", !visible);
  toggle.setAttribute("aria-pressed", String(visible));
  if (dialog.open) remember(KEY, visible ? "shown" : "hidden");
}

function swipe() {
  let from = 0;
  stage.addEventListener("touchstart", (event) => (from = event.touches.length === 1 ? event.touches[0].clientX : Number.NaN), { passive: true });
  stage.addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - from;
    if (!stage.classList.contains("zoomed") && Math.abs(moved) > SWIPE) step(moved < 0 ? 1 : -1);
  }, { passive: true });
}

/** @param {string[]} keys @param {string} label @param {() => void} run @returns {import("./keys.js").Shortcut} */
function key(keys, label, run) {
  return { keys, label, scope: "lightbox", run: () => run() };
}

/** @param {Parameters<typeof icon>[0]} name @param {string} label @param {(event: Event) => void} run @returns {HTMLButtonElement} */
function button(name, label, run) {
  return h("button", { type: "button", class: "icon-button", title: label, "aria-label": label, onclick: run }, icon(name));
}
