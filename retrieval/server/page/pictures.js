/** A picture as the query: dropped, pasted or chosen. */

import { addTerm } from "./query.js";
import { asProblem } from "./results.js";
import { byId } from "./dom.js";
import { icon } from "./icons.js";
import { toast } from "./announce.js";
import { upload } from "./api.js";

const LARGEST = 25_000_000; // bytes that the server takes

/** Begin. */
export function startPictures() {
  const file = byId("file", HTMLInputElement);
  const pick = byId("pick", HTMLButtonElement);
  pick.append(icon("picture"));
  pick.addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files?.[0]) void searchWith(file.files[0]);
    file.value = "";
  });
  document.addEventListener("paste", (event) => {
    const picture = pictureIn(event.clipboardData?.items);
    if (!picture) return;
    event.preventDefault();
    void searchWith(picture);
  });
  startDrop();
}

/** @param {Blob} picture */
async function searchWith(picture) {
  if (picture.size > LARGEST) {
    toast("That picture is larger than 25 MB; make it smaller, and try again");
    return;
  }
  document.documentElement.classList.add("uploading");
  try {
    const { id } = await upload(picture);
    addTerm({ picture: id, weight: 1 });
  } catch (error) {
    toast(`That picture cannot be searched with: ${asProblem(error).message}`);
  }
  document.documentElement.classList.remove("uploading");
}

function startDrop() {
  const shade = byId("drop", HTMLElement);
  let depth = 0;
  const show = (/** @type {boolean} */ shown) => shade.classList.toggle("shown", shown);
  document.addEventListener("dragenter", (event) => {
    if (carriesFiles(event) && (depth += 1)) show(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (carriesFiles(event)) depth = Math.max(0, depth - 1);
    if (!depth) show(false);
  });
  document.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    depth = 0;
    show(false);
    if (!event.dataTransfer || !carriesFiles(event)) return;
    event.preventDefault();
    const picture = pictureIn(event.dataTransfer.items);
    if (picture) void searchWith(picture);
    else toast("That is no picture; drop a photo to search with it");
  });
}

/** @param {DragEvent} event @returns {boolean} */
function carriesFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** @param {DataTransferItemList | undefined} items @returns {File | null} */
function pictureIn(items) {
  for (const item of items ?? []) {
    if (item.kind === "file" && (item.type.startsWith("image/") || !item.type)) return item.getAsFile();
  }
  return null;
}
