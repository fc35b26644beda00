/**
 * The pictures: only those near the screen are in the document, one of them holds the focus.
 *
 * Modules that add to a tile push a function to `tileParts`; `refresh` draws the tiles anew.
 *
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {import("./layout.js").Row} Row
 * @typedef {import("./layout.js").Box} Box
 * @typedef {import("./layout.js").Layout} Layout
 * @typedef {{labels: (perRow: number) => string[], divider: number | null}} Breaks
 * @typedef {(tile: HTMLElement, hit: Hit, index: number) => void} TilePart
 */

import { beside, layOut, rowsBetween } from "./layout.js";
import { byId, h } from "./dom.js";
import { clock, likelihood, momentOf, spoken } from "./format.js";
import { icon } from "./icons.js";
import { thumbAt } from "./api.js";

/** Each is called with every tile that is made. @type {TilePart[]} */
export const tileParts = [];

const SKELETON = [1.5, 0.75, 1.33, 1, 1.5, 1.78, 0.67, 1.5, 1.33, 0.75, 1.5, 1.5];
const KEPT_IMAGES = 400;
const USUAL = 1.35; // width over height of a picture, about
/** @type {Breaks} */
const NO_BREAKS = { labels: () => [], divider: null };

class Grid {
  /** @type {readonly Hit[]} */
  hits = [];
  /** The hit that has, or would have, the focus. */
  active = 0;
  /** @type {(index: number) => void} */
  onopen = () => {};
  /** Called when the end comes near. @type {() => void} */
  onend = () => {};
  /** Address of a hit, for links. @type {(hit: Hit) => string} */
  link = () => "#";

  #element = byId("grid", HTMLElement);
  /** @type {Layout} */
  #layout = { rows: [], rowAt: [], height: 0 };
  /** @type {Breaks} */
  #breaks = NO_BREAKS;
  /** @type {Map<number, {key: string, element: HTMLElement}>} by place of the row */
  #shown = new Map();
  /** Pictures that were drawn, to be shown again without a flicker. @type {Map<string, HTMLImageElement>} */
  #images = new Map();
  #scale = 1;
  #round = 0;
  #width = 0;
  #frame = 0;

  constructor() {
    const draw = () => this.#soon();
    addEventListener("scroll", draw, { passive: true });
    addEventListener("resize", draw, { passive: true });
    new ResizeObserver(() => this.#resized()).observe(this.#element);
    this.#element.addEventListener("click", (event) => this.#clicked(event));
    this.#element.addEventListener("focusin", (event) => this.#focused(event));
  }

  /** Height that a row should have. @returns {number} */
  get rowHeight() {
    const wanted = getComputedStyle(this.#element).getPropertyValue("--row-height");
    return (Number.parseFloat(wanted) || 200) * this.#scale;
  }

  /** How large the pictures are; 1 is usual. */
  get scale() {
    return this.#scale;
  }

  set scale(scale) {
    this.#scale = Math.min(2.2, Math.max(0.5, scale));
    const anchor = this.hasFocus ? this.active : this.#firstInSight();
    const scrolled = scrollY > this.#top;
    if (this.hits.length) this.#arrange();
    if (scrolled) this.reveal(anchor);
  }

  /** How many pictures fill about two screens. @returns {number} */
  get screenful() {
    const row = this.rowHeight;
    const each = row * row * USUAL;
    return Math.min(200, Math.max(30, Math.ceil((2 * innerWidth * innerHeight) / each / 10) * 10));
  }

  /**
   * Show hits. `fresh` says that they are of another search: the focus stays on a hit that
   * is among them, or goes to the first.
   * @param {readonly Hit[]} hits
   * @param {Breaks} breaks
   * @param {boolean} fresh
   */
  show(hits, breaks, fresh) {
    const had = this.hasFocus;
    const before = this.hits[this.active]?.id;
    this.hits = hits;
    this.#breaks = breaks;
    if (fresh) {
      this.#round += 1;
      this.active = had ? Math.max(0, hits.findIndex((hit) => hit.id === before)) : 0;
    }
    this.#arrange();
    if (had && fresh) this.focus(this.active);
  }

  /** Show where pictures will be. */
  showSkeleton() {
    this.hits = [];
    const shapes = Array.from({ length: this.screenful }, (_, at) => ({
      ...NO_HIT, id: -1 - at, width: 100 * SKELETON[at % SKELETON.length], height: 100,
    }));
    this.#round += 1;
    this.#breaks = NO_BREAKS;
    this.#arrange(shapes);
  }

  /** Draw the tiles that are shown anew. */
  refresh() {
    this.#round += 1;
    const had = this.hasFocus;
    this.#draw();
    if (had) this.focus(this.active);
  }

  /** @returns {boolean} */
  get hasFocus() {
    return this.#element.contains(document.activeElement);
  }

  /** @returns {Hit | null} the hit that has the focus */
  get focusedHit() {
    return this.hasFocus ? (this.hits[this.active] ?? null) : null;
  }

  /**
   * Give a hit the focus, and bring it into sight.
   * @param {number} index
   */
  focus(index) {
    if (!this.hits.length) return;
    this.active = Math.min(this.hits.length - 1, Math.max(0, index));
    this.reveal(this.active);
    this.#draw();
    this.#link(this.active)?.focus({ preventScroll: true });
  }

  /**
   * Scroll as little as is needed to see a hit.
   * @param {number} index
   */
  reveal(index) {
    const row = this.#layout.rows[this.#layout.rowAt[index]];
    if (!row) return;
    const bar = byId("bar", HTMLElement).offsetHeight + 12;
    const top = this.#top + row.y;
    if (top < scrollY + bar) scrollTo({ top: top - bar });
    else if (top + row.height > scrollY + innerHeight - 12) scrollTo({ top: top + row.height - innerHeight + 12 });
  }

  /**
   * Move the focus by one hit, or by one row.
   * @param {"left" | "right" | "up" | "down"} way
   */
  move(way) {
    if (!this.hasFocus) return this.focus(this.#firstInSight());
    if (way === "left") this.focus(this.active - 1);
    else if (way === "right") this.focus(this.active + 1);
    else this.focus(beside(this.#layout, this.active, way === "up" ? -1 : 1));
  }

  get #top() {
    return this.#element.getBoundingClientRect().top + scrollY;
  }

  #firstInSight() {
    const from = scrollY + byId("bar", HTMLElement).offsetHeight - this.#top;
    const row = this.#layout.rows.find((each) => each.boxes.length && each.y >= from);
    return row?.boxes[0].index ?? 0;
  }

  #resized() {
    const width = this.#element.clientWidth;
    if (width === this.#width) return;
    const anchor = this.#firstInSight();
    const scrolled = scrollY > this.#top;
    if (this.hits.length) this.#arrange();
    if (scrolled) this.reveal(anchor);
  }

  /** @param {readonly Hit[]} [shapes] what to draw instead of the hits */
  #arrange(shapes) {
    this.#width = this.#element.clientWidth;
    const style = getComputedStyle(this.#element);
    const pixels = (/** @type {string} */ name) => Number.parseFloat(style.getPropertyValue(name)) || 0;
    this.#layout = layOut(shapes ?? this.hits, {
      width: this.#width,
      height: this.rowHeight,
      gap: pixels("--gap"),
      heading: pixels("--heading-height"),
      text: pixels("--text-height"),
    }, { labels: this.#breaks.labels(this.#width / (this.rowHeight * USUAL)), divider: this.#breaks.divider });
    this.#element.style.height = `${this.#layout.height}px`;
    this.#element.setAttribute("aria-rowcount", String(this.#layout.rows.length));
    this.#draw();
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const { rows, height } = this.#layout;
    const top = scrollY - this.#top;
    const [from, to] = rowsBetween(rows, top - innerHeight, top + 2 * innerHeight);
    const wanted = new Set(Array.from({ length: to - from }, (_, at) => from + at));
    const kept = this.#layout.rowAt[this.active]; // stays, or the focus would be lost
    if (kept !== undefined) wanted.add(kept);
    for (const [at, { key, element }] of this.#shown) {
      if (wanted.has(at) && key === this.#key(rows[at])) continue;
      element.remove();
      this.#shown.delete(at);
    }
    for (const at of [...wanted].sort((a, b) => a - b)) if (!this.#shown.has(at)) this.#put(at);
    if (this.hits.length && top + 3 * innerHeight > height) this.onend();
  }

  /** @param {Row} row @returns {string} */
  #key({ y, height, boxes, label }) {
    const last = boxes[boxes.length - 1];
    return [this.#round, y, height, boxes.length, last?.x, last?.width, label].join(" ");
  }

  /** @param {number} at place of the row */
  #put(at) {
    const row = this.#layout.rows[at];
    const element = h("div", { class: `row ${row.type}`, role: "row", "aria-rowindex": at + 1 });
    element.style.transform = `translateY(${row.y}px)`;
    element.style.height = `${row.height}px`;
    if (row.type === "heading") element.append(h("div", { role: "gridcell" }, h("h2", {}, row.label)));
    else if (row.type === "divider") element.append(h("div", { role: "gridcell" }, h("p", {}, row.label)));
    else element.append(...row.boxes.map((box) => this.#tile(box, row)));
    const after = [...this.#shown].filter(([other]) => other > at).sort(([a], [b]) => a - b)[0];
    this.#element.insertBefore(element, after?.[1].element ?? null);
    this.#shown.set(at, { key: this.#key(row), element });
  }

  /** @param {Box} box @param {Row} row @returns {HTMLElement} */
  #tile(box, row) {
    const hit = this.hits[box.index];
    const tile = h("div", { class: "tile", role: "gridcell", "data-index": box.index });
    tile.style.left = `${box.x}px`;
    tile.style.width = `${box.width}px`;
    if (!hit) tile.classList.add("skeleton");
    else {
      tile.append(row.type === "texts" ? this.#passage(hit, box) : this.#picture(hit, box));
      for (const add of tileParts) add(tile, hit, box.index);
    }
    return tile;
  }

  /** @param {Hit} hit @param {Box} box @returns {HTMLElement} */
  #picture(hit, box) {
    const about = [likelihood(hit), momentOf(hit)].filter(Boolean).join(" · ");
    return h("a", { class: "open", href: this.link(hit), tabindex: box.index === this.active ? 0 : -1 },
      this.#image(hit, box.width),
      hit.time !== null && h("span", { class: "film", "aria-hidden": "true" }, icon("film"), clock(hit.time)),
      h("span", { class: "caption", "aria-hidden": "true" }, h("b", {}, hit.name), about),
    );
  }

  /** @param {Hit} hit @param {number} width @returns {HTMLImageElement} */
  #image(hit, width) {
    const kept = this.#images.get(hit.thumb);
    if (kept && !kept.isConnected && !kept.classList.contains("broken")) {
      kept.sizes = `${width}px`;
      kept.alt = spoken(hit);
      return kept;
    }
    const image = h("img", {
      alt: spoken(hit), decoding: "async", draggable: "false", sizes: `${width}px`,
      srcset: hit.thumb && `${thumbAt(hit.thumb, 256)} 256w, ${thumbAt(hit.thumb, 1024)} 1024w`,
      src: hit.thumb && thumbAt(hit.thumb, 256),
    });
    image.addEventListener("load", () => image.classList.add("loaded"));
    image.addEventListener("error", () => image.classList.add("broken"));
    if (image.complete) image.classList.add("loaded");
    this.#images.set(hit.thumb, image);
    for (const oldest of this.#images.keys()) {
      if (this.#images.size <= KEPT_IMAGES) break;
      this.#images.delete(oldest);
    }
    return image;
  }

  /** @param {Hit} hit @param {Box} box @returns {HTMLElement} */
  #passage(hit, box) {
    return h("a", { class: "open", href: this.link(hit), tabindex: box.index === this.active ? 0 : -1 },
      h("span", { class: "words" }, hit.text),
      h("span", { class: "source" }, [hit.name, likelihood(hit)].filter(Boolean).join(" · ")),
    );
  }

  /** @param {number} index @returns {HTMLElement | null} */
  #link(index) {
    return this.#element.querySelector(`[data-index="${index}"] .open`);
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const link = event.target instanceof Element ? event.target.closest(".open") : null;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    this.onopen(indexOf(link));
  }

  /** @param {FocusEvent} event */
  #focused(event) {
    const index = event.target instanceof Element ? indexOf(event.target) : -1;
    if (index < 0 || index === this.active) return;
    this.#link(this.active)?.setAttribute("tabindex", "-1");
    this.active = index;
    this.#link(index)?.setAttribute("tabindex", "0");
  }
}

/** @type {Hit} */
const NO_HIT = {
  id: 0, rank: 0, score: 0, match: null, likely: null, likelihood: null, kind: "photo", path: "", name: "",
  folder: "", time: null, text: "", width: 1, height: 1, thumb: "", original: "", about: {}, lines: [],
};

/** @param {Element} element within a tile @returns {number} */
function indexOf(element) {
  const tile = element.closest("[data-index]");
  return tile instanceof HTMLElement ? Number(tile.dataset.index) : -1;
}

export const grid = new Grid();
