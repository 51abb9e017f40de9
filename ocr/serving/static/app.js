"use strict";

const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const ALTERNATIVES = 4, RETRIES = 3;

// What is on the screen: the file that was sent, the answer, the texts as chosen.
let limits = null, sent = null, page = null, texts = [], running = null;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function say(text) { $("status").textContent = text; }

function complain(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

function plural(count, word) { return `${count} ${word}${count === 1 ? "" : "s"}`; }

// -- sending -------------------------------------------------------------------------------

async function loadInfo() {
  try {
    const answer = await fetch("info");
    limits = await answer.json();
  } catch {
    complain("The service does not answer.");
    return;
  }
  for (const model of limits.models)
    $("model").append(element("option", { value: model.name },
                              `${model.name} (version ${model.version})`));
  if (!limits.finds_lines) $("lines").value = "one";
  for (const option of $("lines").options)
    option.disabled = !limits.finds_lines && option.value !== "one";
  $("limits").textContent = `${limits.formats.join(", ")}; up to ` +
    `${Math.floor(limits.max_bytes / 2 ** 20)} MiB. Nothing is kept.`;
  const broken = limits.models.filter(m => Object.keys(m.failed).length);
  $("served").textContent = broken.length
    ? `A version cannot be loaded: ${broken.map(m => m.name).join(", ")}.` : "";
}

// Photos of more than the service takes are made smaller here.
async function fitting(file) {
  if (!limits) return file;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return file;
  }
  const pixels = bitmap.width * bitmap.height;
  // Room is left for the form around the file.
  if (file.size < limits.max_bytes - 2000 && pixels <= limits.max_pixels) return file;
  const scale = Math.min(1, Math.sqrt(Math.min(limits.max_pixels, 12e6) / pixels));
  const canvas = element("canvas", { width: Math.floor(bitmap.width * scale),
                                     height: Math.floor(bitmap.height * scale) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise(done => canvas.toBlob(done, "image/jpeg", 0.9));
  return blob ? new File([blob], file.name.replace(/\.\w+$/, "") + ".jpg",
                         { type: "image/jpeg" }) : file;
}

async function post(file, format, signal) {
  const query = new URLSearchParams({ lines: $("lines").value, format,
                                      alternatives: String(ALTERNATIVES) });
  if ($("model").value) query.set("model", $("model").value);
  for (let attempt = 0; ; attempt++) {
    const form = new FormData();
    form.append("files", file, file.name || "image");
    const answer = await fetch(`recognition?${query}`, { method: "POST", body: form, signal });
    if (answer.ok) return answer;
    const busy = answer.status === 429 || answer.status === 503;
    if (!busy || attempt >= RETRIES) {
      let message = `The service answered ${answer.status}.`;
      try { message = (await answer.json()).error; } catch { /* not JSON: a proxy's page */ }
      throw new Error(message);
    }
    say("The service is busy; trying again …");
    const seconds = Number(answer.headers.get("Retry-After")) || 1;
    await new Promise(done => setTimeout(done, 1000 * seconds));
  }
}

async function read(files) {
  const images = [...files].filter(f => f.type.startsWith("image/") || /\.\w+$/.test(f.name));
  if (!images.length) return;
  running?.abort();
  const mine = running = new AbortController();
  document.body.classList.add("busy", "has-work");
  complain("");
  say(`Reading ${images[0].name || "the image"} …`);
  try {
    const file = await fitting(images[0]);
    const begun = performance.now();
    const answer = await (await post(file, "json", mine.signal)).json();
    if (mine.signal.aborted) return;
    sent = file;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    await show(answer.images[0], file);
    const low = page.lines.filter(line => line.low_confidence).length;
    say((page.lines.length ? `${plural(page.lines.length, "line")} in ${seconds} s`
                           : "No lines of text were found") +
        (low ? `, ${low} of low confidence` : "") +
        (images.length > 1 ? `; only the first of ${images.length} images was read` : "") + ".");
  } catch (error) {
    if (error.name === "AbortError") return;
    say("");
    complain(error instanceof TypeError ? "The service does not answer." : error.message);
  } finally {
    if (running === mine) document.body.classList.remove("busy");
  }
}

// -- showing -------------------------------------------------------------------------------

function show(answer, file) {
  page = answer;
  texts = page.lines.map(line => line.text);
  const image = $("image"), frame = $("frame"), overlay = $("overlay");
  if (image.src) URL.revokeObjectURL(image.src);
  frame.classList.remove("bare");
  image.alt = `${page.image}, ${plural(page.lines.length, "line")}`;
  overlay.setAttribute("viewBox", `0 0 ${page.width} ${page.height}`);
  overlay.replaceChildren(...page.lines.map((line, index) => {
    const outline = document.createElementNS(SVG, "polygon");
    outline.setAttribute("points", line.polygon.map(p => p.join(",")).join(" "));
    outline.classList.toggle("low", line.low_confidence);
    outline.addEventListener("click", () => choose(index, true));
    return outline;
  }));
  $("list").replaceChildren(...page.lines.map(row));
  if (page.lines.length) $("list").firstChild.tabIndex = 0;
  $("work").classList.toggle("wide", page.width > 3 * page.height);
  $("work").hidden = false;
  for (const button of document.querySelectorAll(".bar button")) button.disabled = !page.lines.length;
  return new Promise(done => {
    image.onload = done;
    // TIFF, mostly, which browsers do not show: the outlines still tell.
    image.onerror = () => { frame.classList.add("bare"); done(); };
    image.src = URL.createObjectURL(file);
  });
}

function row(line, index) {
  const text = element("span", { className: "text" });
  fill(text, line);
  const share = Math.round(100 * line.confidence);
  const item = element("li", { tabIndex: -1, className: line.low_confidence ? "low" : "" },
    element("span", { className: "number" }, String(index + 1)), text,
    element("span", { className: "share",
                      title: `Confidence of the line ${share}%` },
            `${share}%${line.low_confidence ? " ⚠ check" : ""}`));
  item.setAttribute("aria-label", `Line ${index + 1}: ${line.text || "nothing"}, ` +
    `confidence ${share}%${line.low_confidence ? ", low" : ""}`);
  item.addEventListener("click", event => {
    if (!event.target.closest("button")) choose(index, false);
  });
  item.addEventListener("focus", () => choose(index, false));
  if (line.alternatives.length) {
    const others = element("ul", { className: "others", hidden: true },
      ...[{ text: line.text, confidence: line.confidence }, ...line.alternatives].map(other =>
        element("li", {}, alternative(other, index))));
    const more = element("button", { type: "button", className: "more", tabIndex: -1 },
                         plural(line.alternatives.length, "alternative"));
    more.setAttribute("aria-expanded", "false");
    more.addEventListener("click", () => {
      others.hidden = !others.hidden;
      more.setAttribute("aria-expanded", String(!others.hidden));
    });
    item.append(more, others);
  }
  return item;
}

function alternative(other, index) {
  const button = element("button", { type: "button" }, other.text || "(nothing)",
                         element("small", {}, `${Math.round(100 * other.confidence)}%`));
  button.addEventListener("click", () => {
    const item = $("list").children[index], line = page.lines[index];
    texts[index] = other.text;
    fill(item.querySelector(".text"),
         other.text === line.text ? line : { text: other.text, characters: [] });
    item.setAttribute("aria-label", `Line ${index + 1}: ${other.text}`);
    say(`Line ${index + 1} is now: ${other.text}`);
  });
  return button;
}

// Characters by classes of confidence: colour and the kind of underline say the same.
function fill(target, line) {
  if (!line.text) {
    target.replaceChildren(element("span", { className: "blank" }, "nothing read"));
    return;
  }
  if (!line.characters.length) {
    target.replaceChildren(line.text);
    return;
  }
  target.replaceChildren(...line.characters.map(character => {
    const c = character.confidence, share = `${Math.round(100 * c)}%`;
    const span = element("span", {
      className: c < 0.5 ? "c0" : c < 0.7 ? "c1" : c < 0.9 ? "c2" : "c3",
      title: `${character.text === " " ? "space" : character.text} ${share}` }, character.text);
    span.addEventListener("mouseenter", () => spot(character));
    span.addEventListener("mouseleave", () => spot(null));
    return span;
  }));
}

function spot(character) {
  $("overlay").querySelector(".spot")?.remove();
  if (!character) return;
  const mark = document.createElementNS(SVG, "polygon");
  mark.classList.add("spot");
  mark.setAttribute("points", character.polygon.map(p => p.join(",")).join(" "));
  $("overlay").append(mark);
}

function choose(index, focus) {
  const items = [...$("list").children], outlines = [...$("overlay").children];
  items.forEach((item, i) => {
    item.classList.toggle("on", i === index);
    item.tabIndex = i === index ? 0 : -1;
    for (const button of item.querySelectorAll(".more")) button.tabIndex = item.tabIndex;
  });
  outlines.forEach((outline, i) => outline.classList.toggle("on", i === index));
  if (focus) {
    items[index].focus({ preventScroll: true });
    items[index].scrollIntoView({ block: "nearest" });
  }
}

// -- taking away ---------------------------------------------------------------------------

async function copy() {
  const text = texts.join("\n");
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https the clipboard is closed to pages; the old way still works.
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    $("copy").focus();
  }
  say(`Copied ${plural(texts.length, "line")}.`);
}

function save(content, type, ending) {
  const name = page.image.replace(/\.\w+$/, "") + ending;
  const link = element("a", { href: URL.createObjectURL(new Blob([content], { type })),
                              download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`${name} was handed to the browser.`);
}

async function download(format) {
  complain("");
  try {
    if (format === "text") save(texts.join("\n") + "\n", "text/plain;charset=utf-8", ".txt");
    else if (format === "json")
      save(JSON.stringify(page, null, 2) + "\n", "application/json", ".json");
    else save(await (await post(sent, format)).text(), "application/xml", `.${format}.xml`);
  } catch (error) {
    complain(error.message);
  }
}

// -- wiring --------------------------------------------------------------------------------

for (const id of ["file", "photo"])
  $(id).addEventListener("change", event => {
    read(event.target.files);
    // So that the same file can be chosen again.
    event.target.value = "";
  });
for (const id of ["model", "lines"])
  $(id).addEventListener("change", () => { if (sent) read([sent]); });
$("options").addEventListener("submit", event => event.preventDefault());
$("copy").addEventListener("click", copy);
for (const button of document.querySelectorAll("[data-format]"))
  button.addEventListener("click", () => download(button.dataset.format));

let depth = 0;
const over = on => $("drop").classList.toggle("over", on);
document.addEventListener("dragenter", () => over(++depth > 0));
document.addEventListener("dragleave", () => over(--depth > 0));
document.addEventListener("dragover", event => event.preventDefault());
document.addEventListener("drop", event => {
  event.preventDefault();
  depth = 0;
  over(false);
  read(event.dataTransfer.files);
});
document.addEventListener("paste", event => read(event.clipboardData.files));

$("list").addEventListener("keydown", event => {
  const items = [...$("list").children], at = items.indexOf(event.target.closest("#list > li"));
  const step = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (step !== undefined) {
    event.preventDefault();
    choose(Math.min(Math.max(step, 0), items.length - 1), true);
  } else if ((event.key === "Enter" || event.key === " ") && event.target === items[at]) {
    event.preventDefault();
    items[at].querySelector(".more")?.click();
  } else if (event.key === "Escape") {
    items[at].focus();
  }
});

loadInfo();
