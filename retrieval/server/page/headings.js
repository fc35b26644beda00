/**
 * The headings above the pictures: days where the order is by date, else how likely hits are.
 *
 * @typedef {import("./types.js").Hit} Hit
 * @typedef {{from: number, to: number, first: string, last: string}} Days of hits in a row, "2024-05-12"
 */

import { capital, taken } from "./format.js";

const LEVELS = ["very likely", "likely", "perhaps"];
const FULL = 0.7; // of a row: a day with so many pictures stands for itself

const day = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const range = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });

/** Headings that were written before: writing one takes longer than all else. @type {Map<string, string>} */
const names = new Map();

/**
 * Name the days of hits that are in order of time. Days with few pictures share a row and a heading.
 * @param {readonly Hit[]} hits
 * @param {number} perRow about how many pictures a row holds
 * @returns {string[]} one for each hit
 */
export function dayLabels(hits, perRow) {
  /** @type {Days[]} */
  const groups = [];
  for (const days of daysOf(hits)) {
    const before = groups[groups.length - 1];
    if (before && isShort(before, perRow) && isShort(days, perRow) && before.first && days.first) {
      Object.assign(before, { to: days.to, last: days.last });
    } else groups.push(days);
  }
  return groups.flatMap((days) => Array(days.to - days.from).fill(named(days)));
}

/**
 * Name how likely hits are. A level holds until a lower one, so that the names only sink; levels
 * with few pictures share a row and a heading.
 * @param {readonly Hit[]} hits best first
 * @param {number | null} divider place of the first unlikely hit
 * @param {number} perRow about how many pictures a row holds
 * @returns {string[]} one for each hit; empty from the divider on, and where it is not known
 */
export function levelLabels(hits, divider, perRow) {
  /** @type {{size: number, level: number, label: string}[]} */
  const groups = [];
  hits.forEach(({ likelihood }, at) => {
    const known = likelihood && (divider === null || at < divider);
    const before = groups[groups.length - 1];
    const level = known ? Math.max(before?.level ?? 0, LEVELS.indexOf(likelihood)) : -1;
    if (before?.level === level) before.size += 1;
    else groups.push({ size: 1, level, label: capital(LEVELS[level] ?? "") });
  });
  groups.forEach((group, at) => {
    const next = groups[at + 1];
    if (!next || next.level < 0 || group.size + next.size > perRow) return;
    next.label = `${group.label}, then ${LEVELS[next.level]}`;
    next.size += group.size;
    group.size = 0;
  });
  return groups.flatMap(({ size, label }) => Array(size).fill(label));
}

/** @param {readonly Hit[]} hits @returns {Days[]} */
function daysOf(hits) {
  /** @type {Days[]} */
  const found = [];
  hits.forEach((hit, at) => {
    const date = hit.about.taken?.slice(0, 10) ?? "";
    const before = found[found.length - 1];
    if (before?.first === date) before.to = at + 1;
    else found.push({ from: at, to: at + 1, first: date, last: date });
  });
  return found;
}

/** @param {Days} days @param {number} perRow @returns {boolean} */
function isShort({ from, to }, perRow) {
  return to - from < FULL * perRow;
}

/** @param {Days} days @returns {string} */
function named({ first, last }) {
  const key = `${first} ${last}`;
  const label = names.get(key) ?? written(taken(first), taken(last));
  names.set(key, label);
  return label;
}

/** @param {Date | null} first @param {Date | null} last @returns {string} */
function written(first, last) {
  if (!first || !last) return "Without a date";
  if (first.getTime() === last.getTime()) return day.format(first);
  const [early, late] = first < last ? [first, last] : [last, first];
  return range.formatRange(early, late);
}
