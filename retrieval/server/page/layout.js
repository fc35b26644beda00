/**
 * Where each picture stands: justified rows, computed before any picture is loaded.
 *
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {{index: number, x: number, width: number}} Box
 * @typedef {object} Row
 * @property {"photos" | "texts" | "heading" | "divider"} type
 * @property {number} y
 * @property {number} height
 * @property {Box[]} boxes
 * @property {string} label of a heading or divider
 *
 * @typedef {object} Measures
 * @property {number} width of the whole, in pixels
 * @property {number} height a row should have
 * @property {number} gap
 * @property {number} heading height of a heading
 * @property {number} text height of a passage
 *
 * @typedef {object} Breaks
 * @property {readonly string[]} labels the heading under which each hit stands; empty for none
 * @property {number | null} divider place of the first unlikely hit
 *
 * @typedef {{rows: Row[], height: number, rowAt: number[]}} Layout `rowAt` is the row of each hit
 */

const NARROW = 0.45; // height over width, and the reverse, beyond which a picture is cropped
const WIDE = 3.2;

/**
 * Lay hits out in rows.
 * @param {readonly Hit[]} hits
 * @param {Measures} measures
 * @param {Breaks} breaks
 * @returns {Layout}
 */
export function layOut(hits, measures, breaks) {
  /** @type {Row[]} */
  const rows = [];
  /** @type {number[]} */
  const rowAt = [];
  let y = 0;
  /** @param {Omit<Row, "y">} row */
  const put = (row) => {
    for (const box of row.boxes) rowAt[box.index] = rows.length;
    rows.push({ ...row, y });
    y += row.height + measures.gap;
  };
  for (const part of parts(hits, breaks)) {
    if (part.divider) put({ type: "divider", height: measures.heading, boxes: [], label: part.from ? "Below this, unlikely" : "All of these are unlikely" });
    if (part.label) put({ type: "heading", height: measures.heading, boxes: [], label: part.label });
    for (const row of rowsOf(hits, part, measures)) put(row);
  }
  return { rows, rowAt, height: Math.max(0, y - measures.gap) };
}

/**
 * Find the rows that reach into a stretch of the page.
 * @param {readonly Row[]} rows
 * @param {number} top
 * @param {number} bottom
 * @returns {[number, number]} the first, and the one behind the last
 */
export function rowsBetween(rows, top, bottom) {
  const first = search(rows, (row) => row.y + row.height >= top);
  return [first, Math.max(first, search(rows, (row) => row.y > bottom))];
}

/**
 * Find the hit above or below another: the one whose middle is nearest.
 * @param {Layout} layout
 * @param {number} index
 * @param {1 | -1} step
 * @returns {number} the same index at the end
 */
export function beside({ rows, rowAt }, index, step) {
  const at = rowAt[index];
  const box = rows[at]?.boxes.find((each) => each.index === index);
  let next = at + step;
  while (rows[next] && !rows[next].boxes.length) next += step;
  if (!box || !rows[next]) return index;
  const middle = box.x + box.width / 2;
  const away = (/** @type {Box} */ each) => Math.abs(each.x + each.width / 2 - middle);
  return rows[next].boxes.reduce((best, each) => (away(each) < away(best) ? each : best)).index;
}

/** @typedef {{from: number, to: number, label: string, divider: boolean}} Part */

/** @param {readonly Hit[]} hits @param {Breaks} breaks @returns {Part[]} */
function parts(hits, breaks) {
  /** @type {Part[]} */
  const found = [];
  hits.forEach((_, index) => {
    const label = breaks.labels[index] ?? "";
    const last = found[found.length - 1];
    const divider = index === breaks.divider;
    if (last && !divider && last.label === label) last.to = index + 1;
    else found.push({ from: index, to: index + 1, label, divider });
  });
  return found;
}

/** @param {readonly Hit[]} hits @param {Part} part @param {Measures} measures @returns {Omit<Row, "y">[]} */
function rowsOf(hits, part, measures) {
  const { width, gap, text } = measures;
  if (hits[part.from].kind === "text") {
    return hits.slice(part.from, part.to).map((_, place) => ({
      type: "texts", height: text, label: "", boxes: [{ index: part.from + place, x: 0, width }],
    }));
  }
  /** @type {Omit<Row, "y">[]} */
  const rows = [];
  let from = part.from;
  while (from < part.to) {
    const to = rowEnd(hits, from, part.to, measures);
    const ratios = hits.slice(from, to).map(ratio);
    const sum = ratios.reduce((total, each) => total + each, 0);
    const full = (width - gap * (to - from - 1)) / sum;
    const last = to === part.to && full > measures.height * 1.25;
    const height = Math.round(last ? measures.height : full);
    rows.push({ type: "photos", height, label: "", boxes: boxes(ratios, from, height, last ? null : width, gap) });
    from = to;
  }
  return rows;
}

/** @param {readonly Hit[]} hits @param {number} from @param {number} end @param {Measures} measures @returns {number} */
function rowEnd(hits, from, end, { width, height, gap }) {
  let sum = 0;
  for (let at = from; at < end; at += 1) {
    const before = (width - gap * (at - from - 1)) / sum; // height without this one
    sum += ratio(hits[at]);
    const after = (width - gap * (at - from)) / sum;
    if (after <= height) {
      return at > from && before - height < height - after ? at : at + 1;
    }
  }
  return end;
}

/** @param {number[]} ratios @param {number} from @param {number} height @param {number | null} width @param {number} gap @returns {Box[]} */
function boxes(ratios, from, height, width, gap) {
  let x = 0;
  return ratios.map((each, place) => {
    const end = width !== null && place === ratios.length - 1;
    const box = { index: from + place, x, width: end ? width - x : Math.round(each * height) };
    x += box.width + gap;
    return box;
  });
}

/** @param {Hit} hit @returns {number} width over height */
function ratio(hit) {
  const { width, height } = hit;
  return width && height ? Math.min(WIDE, Math.max(NARROW, width / height)) : 1;
}

/** @template T @param {readonly T[]} sorted @param {(each: T) => boolean} test @returns {number} */
function search(sorted, test) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(sorted[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
