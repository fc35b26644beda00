/**
 * The command line's grammar in the browser: a query as text, and as words, terms and filters.
 *
 * The server reads the same text and has the last word; here it is split only so that parts of
 * it can be shown as chips.
 *
 * @typedef {import("./types.js").Term} Term
 * @typedef {Pick<import("./types.js").State, "words" | "terms" | "filters">} Parts
 */

const NAMES = "after|before|near|camera|in|tag|type|orientation|rating|min-rating";
const FILTER = new RegExp(`(?<!\\S)(-?)(${NAMES}):(?:"((?:[^"]|"")*)"|(\\S+))`, "giu");
const SIGN = /(?:^|(?<=\s))([+-])(?=\s|$)/u;
const WEIGHT = /^(\d+(?:\.\d+)?):(?=[^\s\d])/u;
const UNFINISHED = new RegExp(`(?:^|\\s)(?:[+-]|-?(?:${NAMES}):"?)\\s*$`, "iu");

/**
 * Split a query. The first added words without a weight are what stands in the search box.
 * @param {string} q
 * @returns {Parts}
 */
export function parse(q) {
  if (/^\s*".*"\s*$/u.test(q)) return { words: q.trim(), terms: [], filters: [] };
  const filters = filtersIn(q);
  const terms = split(q.replace(FILTER, " "));
  const plain = terms.findIndex((term) => term.text !== undefined && term.weight === 1);
  const words = plain === 0 ? (terms.shift()?.text ?? "") : "";
  return { words, terms, filters };
}

/**
 * Write a query as one text, the inverse of `parse`.
 * @param {Parts} parts
 * @returns {string}
 */
export function write({ words, terms, filters }) {
  const pieces = words.trim() ? [words.trim()] : [];
  for (const term of terms) {
    const body = `${weight(Math.abs(term.weight))}${bare(term)}`;
    if (term.weight < 0) pieces.push(`- ${body}`);
    else pieces.push(pieces.length ? `+ ${body}` : body);
  }
  return [...pieces, ...filters].join(" ");
}

/**
 * Leave out an end that is still being typed: a sign alone, or a filter without its value.
 * @param {string} words
 * @returns {string}
 */
export function finished(words) {
  return words.replace(UNFINISHED, "").trim();
}

/**
 * Write a filter, with quotation marks where its value needs them.
 * @param {string} name
 * @param {string} value
 * @returns {string}
 */
export function filter(name, value) {
  return /^[^\s"]\S*$/u.test(value) ? `${name}:${value}` : `${name}:"${value.replaceAll('"', '""')}"`;
}

/**
 * Find the filters in a text, each as written.
 * @param {string} text
 * @returns {string[]}
 */
export function filtersIn(text) {
  return [...text.matchAll(FILTER)].map(written);
}

/**
 * Split a written filter for showing it; the sign for "just this name" is left out.
 * @param {string} text
 * @returns {{negated: boolean, name: string, value: string}}
 */
export function filterParts(text) {
  const [, minus = "", name = "", value = ""] = /^(-?)([^:]*):(.*)$/su.exec(text) ?? [];
  const plain = /^".*"$/su.test(value) ? value.slice(1, -1).replaceAll('""', '"') : value;
  return { negated: minus === "-", name, value: plain.replace(/^=/u, "") };
}

/**
 * Tell whether two terms mean the same, whatever their weights.
 * @param {Term} a
 * @param {Term} b
 * @returns {boolean}
 */
export function sameTerm(a, b) {
  return bare(a) === bare(b);
}

/** @param {RegExpMatchArray} match @returns {string} */
function written([, minus = "", name = "", quoted, plain]) {
  return `${minus}${filter(name.toLowerCase(), quoted?.replaceAll('""', '"') ?? plain ?? "")}`;
}

/** @param {string} words @returns {Term[]} */
function split(words) {
  /** @type {Term[]} */
  const terms = [];
  let sign = 1;
  for (const piece of words.split(SIGN).map((each) => each.trim())) {
    if (piece === "-") sign = -1;
    else if (piece === "+") sign = 1;
    else if (piece) {
      terms.push(read(piece, sign));
      sign = 1;
    }
  }
  return terms;
}

/** @param {string} piece @param {number} sign @returns {Term} */
function read(piece, sign) {
  const found = WEIGHT.exec(piece);
  const weight = sign * (found ? Number(found[1]) || 1 : 1);
  const body = (found ? piece.slice(found[0].length) : piece).replace(/\s+/gu, " ");
  const item = /^item:(\d+)$/u.exec(body);
  if (item) return { item: Number(item[1]), weight };
  const picture = /^picture:(\S+)$/u.exec(body);
  return picture ? { picture: picture[1], weight } : { text: body, weight };
}

/** @param {Term} term @returns {string} */
function bare(term) {
  if (term.item !== undefined) return `item:${term.item}`;
  return term.picture !== undefined ? `picture:${term.picture}` : (term.text ?? "");
}

/** @param {number} value @returns {string} */
function weight(value) {
  return value === 1 ? "" : `${value}:`;
}
