/** Icons, drawn on a grid of 24 with a stroke of the text's colour. */

const PATHS = {
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.3 15.3 20 20",
  close: "M6 6l12 12M18 6 6 18",
  picture: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 2.5-2.5 5 5M15.5 9.5h.01",
  similar: "M4 8h11v11H4zM9 8V5h11v11h-5",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  filter: "M4 7h16M7 12h10M10 17h4",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  left: "M14.5 5 8 12l6.5 7",
  right: "M9.5 5 16 12l-6.5 7",
  down: "M6 9.5l6 6 6-6",
  info: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM12 11.5V16M12 8h.01",
  copy: "M9 9h10v10H9zM5 15V5h10",
  check: "M5 12.5l4.5 4.5L19 7.5",
  film: "M8 5.5v13l11-6.5z",
  open: "M14 5h5v5M19 5l-8 8M10 6H5v13h13v-5",
  help: "M9 9.2a3 3 0 1 1 4.4 2.7c-.9.5-1.4 1-1.4 2.1M12 17.5h.01",
  copies: "M5 5h9v9H5zM10 14v5h9v-9h-5",
  tag: "M4 5h8l8 8-7 7-9-8.5zM8 9h.01",
  instruct: "M5 6h14v10h-8l-4 3.5V16H5z",
  download: "M12 4v11M7 10.5 12 15.5l5-5M5 20h14",
  zoom: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.3 15.3 20 20M10.5 8v5M8 10.5h5",
};

const SVG = "http://www.w3.org/2000/svg";

/**
 * Draw an icon; what it means is said by the label of its button.
 * @param {keyof typeof PATHS} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
