/**
 * Values as people read them.
 *
 * @typedef {import("./types.js").Hit} Hit
 */

const whole = new Intl.NumberFormat("en");
const minute = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** @param {number} value @returns {string} */
export function count(value) {
  return whole.format(value);
}

/** @param {number} value @param {string} one @param {string} [many] @returns {string} */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/**
 * Read a date as the clock of the camera showed it, whatever the zone of this machine.
 * @param {string | null | undefined} taken
 * @returns {Date | null}
 */
export function taken(taken) {
  const local = taken?.replace(/(Z|[+-]\d\d:?\d\d)$/u, "") ?? "";
  const found = local ? new Date(local.length === 10 ? `${local}T00:00` : local) : null; // a day alone would be of UTC
  return found && !Number.isNaN(found.getTime()) ? found : null;
}

/** @param {Hit} hit @returns {string} */
export function momentOf(hit) {
  const date = taken(hit.about.taken);
  return date ? minute.format(date) : "";
}

/** @param {number} seconds @returns {string} as "1:02" or "1:02:03" */
export function clock(seconds) {
  const at = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(at / 3600), Math.floor(at / 60) % 60];
  const rest = String(at % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** @param {number} bytes @returns {string} */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power ? value.toPrecision(3).replace(/\.?0+$/u, "") : value} ${units[power]}`;
}

/** @param {number} match from 0 to 1 @returns {string} */
export function percent(match) {
  return `${Math.round(match * 100)} %`;
}

/** @param {Hit} hit @returns {string} how likely it is right: "likely, 62 %"; empty if unknown */
export function likelihood(hit) {
  return hit.match === null || !hit.likelihood ? "" : `${hit.likelihood}, ${percent(hit.match)}`;
}

/** @param {Hit} hit @returns {string} what a screen reader says of a picture */
export function spoken(hit) {
  const { title, caption, place } = hit.about;
  const film = hit.time === null ? "" : `film at ${clock(hit.time)}`;
  return [title || caption || hit.name, film, momentOf(hit), place, hit.likelihood].filter(Boolean).join(", ");
}

/** @param {string} text @returns {string} */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
