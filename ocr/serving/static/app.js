// The page: documents, one page of them on the screen, what is taken away.
import { forget, follow, Gone, picture, send, submit, write } from "./api.js";
import { $, element, plural } from "./dom.js";
import { LineList, textOf } from "./lines.js";
import * as store from "./store.js";
import { Viewer } from "./viewer.js";

const ALTERNATIVES = 5;
const LABELS = { text: "Text", json: "JSON", alto: "ALTO", page: "PAGE", hocr: "hOCR", pdf: "PDF", tsv: "TSV",
                 table: "Training lines" };
// Formats that hold the image.
const WITH_FILES = ["table", "pdf"];

// {id, name, state, pages: [{image, page, width, height, lines, error}]}; lines are
// {box, polygon, baseline, reading, text (when edited), checked}.
let documents = [], limits = null, at = { document: null, page: 0 };
const urls = new Map();

const viewer = new Viewer(index => list.focus(index));
const list = new LineList({
  choose: index => viewer.choose(index),
  caret: character => viewer.spot(character),
  change: index => {
    viewer.mark(index);
    if (!store.saveEdits(at.document)) complain("This browser has no room left: edits are not kept.");
    tell();
  },
});

function complain(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

const page = () => at.document?.pages[at.page];
const places = () => documents.flatMap(document =>
  (document.pages.length ? document.pages : [null]).map((_, number) => ({ document, page: number })));
const place = () => places().findIndex(p => p.document === at.document && p.page === at.page);

// -- what is on the screen -----------------------------------------------------------------

function tell(text = "") {
  const document = at.document, one = page();
  $("work").hidden = !documents.length;
  window.document.body.classList.toggle("has-work", !!documents.length);
  if (!document) return;
  const all = places(), index = place();
  $("page").replaceChildren(...all.map(({ document, page }, i) => {
    const one = document.pages[page], lines = one?.lines ?? [];
    const read = lines.filter(line => line.reading).length, checked = lines.filter(line => line.checked).length;
    const state = one?.error ? "not read" : !one?.lines ? document.state
      : read < lines.length ? `${read}/${lines.length}` : checked ? `✓ ${checked}/${lines.length}` : plural(read, "line");
    return element("option", { value: String(i), selected: i === index },
      `${document.name}${document.pages.length > 1 ? ` · ${page + 1}` : ""} – ${state}`);
  }));
  $("before").disabled = index <= 0;
  $("next").disabled = index >= all.length - 1;
  $("scope-label").hidden = all.length < 2;
  const busy = documents.some(d => d.state !== "done");
  window.document.body.classList.toggle("busy", busy);
  $("status").textContent = text || (one?.error ? "" : one?.lines ? list.summary() : document.state);
  const count = exported("table").reduce((sum, one) => sum + one.lines.length, 0);
  for (const button of $("formats").children) {
    button.disabled = button.dataset.format === "table" ? !count : !exported(button.dataset.format).length;
    if (button.dataset.format === "table") button.textContent = `${LABELS.table} (${count})`;
  }
  $("copy").disabled = !exported("text").length;
}

function show(document, number, line = 0) {
  at = { document, page: number };
  localStorage.setItem("ocr:at", JSON.stringify([document.id, number]));
  const one = page(), lines = one?.lines ?? [];
  const shown = { image: document.name, width: 1, height: 1, ...one, lines };
  const id = `${document.id}/${number}`;
  list.show(one?.lines ? one : shown, urls.get(id));
  viewer.show(one?.lines ? one : shown, urls.get(id));
  $("work").classList.toggle("wide", !!one?.lines && one.width > 3 * one.height);
  $("nothing").hidden = !!lines.length;
  $("nothing").textContent = one?.error ?? (one?.lines ? "No lines of text were found." : "Waiting to be read …");
  tell();
  if (one?.lines) showPicture(document, number, id);
  if (lines.length && line >= 0) list.choose(line);
}

async function showPicture(document, number, id) {
  try {
    if (!urls.has(id)) urls.set(id, URL.createObjectURL(await pictureOf(document, number)));
  } catch (error) {
    return complain(error instanceof Gone ? "The service no longer has this page's image." : error.message);
  }
  if (at.document === document && at.page === number) {
    viewer.picture(urls.get(id));
    list.picture(urls.get(id));
  }
}

async function pictureOf(document, number) {
  const kept = await store.get("pictures", [document.id, number]);
  if (kept) return kept;
  const blob = await picture(document.job, number);
  if (documents.includes(document)) store.put("pictures", [document.id, number], blob);
  return blob;
}

// Pictures of pages that nobody has looked at yet are kept too, one after the other.
let fetching = Promise.resolve();
const fetchLater = (document, number) => {
  fetching = fetching.then(() => documents.includes(document) && pictureOf(document, number)).catch(() => {});
};

const step = by => {
  const next = places()[place() + by];
  if (next) {
    show(next.document, next.page);
    list.focus(0);
  }
};

// -- reading -------------------------------------------------------------------------------

// Photos of more pixels than the service takes are made smaller here.
async function fitting(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return file;
  }
  const pixels = bitmap.width * bitmap.height;
  if (file.size < limits.max_job_bytes - 2000 && pixels <= limits.max_pixels) return file;
  const scale = Math.min(1, Math.sqrt(Math.min(limits.max_pixels, 12e6) / pixels));
  const canvas = element("canvas", { width: Math.floor(bitmap.width * scale),
                                     height: Math.floor(bitmap.height * scale) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise(done => canvas.toBlob(done, "image/jpeg", 0.9));
  return blob ? new File([blob], file.name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" }) : file;
}

async function read(files) {
  complain("");
  // After a reload they stand in the order of their ids.
  const fresh = [...files].map((file, number) => ({
    id: `${Date.now()}-${String(number).padStart(5, "0")}-${Math.random().toString(36).slice(2)}`,
    name: file.name || "image", state: "sending", pages: [] }));
  documents.push(...fresh);
  if (fresh.length) {
    show(fresh[0], 0);
    // On a phone the way to it would be long.
    $("pages").scrollIntoView({ block: "nearest" });
  }
  for (const [number, document] of fresh.entries()) await start(document, files[number]);
}

async function start(document, file) {
  try {
    const sent = await fitting(file);
    store.put("files", document.id, sent);
    keep(document);
    const options = { lines: $("lines").value, alternatives: ALTERNATIVES };
    if ($("model").value) options.model = $("model").value;
    const job = await submit(sent, options, () => tell("The service is busy; trying again …"));
    Object.assign(document, { job: job.id, state: job.state });
    await keep(document);
    watch(document);
  } catch (error) {
    failed(document, error);
  }
}

function failed(document, error) {
  complain(`${document.name}: ${error.message}`);
  if (!document.pages.length) drop(document);
  else document.state = "done";
  tell();
}

// The readings; what is typed is kept apart from them.
const keep = document => store.put("documents", document.id, {
  ...document, pages: document.pages.map(one => one.lines
    ? { ...one, lines: one.lines.map(({ text, checked, ...line }) => line) } : one) });

function watch(document) {
  let before = performance.now();
  follow(document.job, news => {
    if (!documents.includes(document)) return;
    document.state = news.state === "cancelled" ? "done" : news.state;
    const first = news.events.length && !document.pages.length;
    for (const event of news.events) take(document, event);
    if (at.document === document && (first || !$("list").children.length)) show(document, at.page);
    // Readings are large: not after every line.
    if (document.state === "done" || performance.now() - before > 2000) {
      before = performance.now();
      keep(document);
    }
    tell();
  }, error => tell(error.message)).then(state => {
    if (state === "cancelled") complain(`${document.name}: the service stopped before all was read.`);
  }, error => {
    if (!documents.includes(document)) return;
    document.state = "done";
    failed(document, error instanceof Gone ? new Error("the service no longer knows it; read it again.") : error);
    keep(document);
  });
}

// Events may come twice, after a reload: what is there already stays.
function take(document, event) {
  const one = document.pages[event.at] ??= { image: event.image, page: event.page };
  if (event.error) {
    one.error = event.error;
    if (document.pages.length === 1) complain(event.error);
  } else if (event.lines) {
    Object.assign(one, { width: event.width, height: event.height });
    if (!one.lines) {
      one.lines = event.lines;
      // After a reload what was typed is known before the lines are.
      store.loadEdits(document);
      keep(document);
      fetchLater(document, event.at);
    }
    if (at.document === document && at.page === event.at && !$("list").children.length) show(document, event.at);
  } else if (one.lines && !one.lines[event.line].reading) {
    one.lines[event.line].reading = event.reading;
    if (at.document === document && at.page === event.at && list.page === one) {
      list.update(event.line);
      viewer.mark(event.line);
    }
  }
}

function drop(document) {
  const index = documents.indexOf(document);
  documents.splice(index, 1);
  store.remove(document);
  for (const id of [...urls.keys()].filter(id => id.startsWith(`${document.id}/`))) {
    URL.revokeObjectURL(urls.get(id));
    urls.delete(id);
  }
  if (at.document !== document) return tell();
  const next = documents[Math.min(index, documents.length - 1)];
  if (next) show(next, 0);
  else {
    at = { document: null, page: 0 };
    tell();
  }
}

const edited = document => document.pages.some(one => one.lines?.some(line => line.checked));
const sure = (document, what) => !edited(document) || confirm(`${what}? What you checked or wrote there is lost.`);

$("remove").addEventListener("click", () => {
  const document = at.document;
  if (!sure(document, `Remove ${document.name}`)) return;
  if (document.job) forget(document.job);
  drop(document);
});
$("again").addEventListener("click", async () => {
  const document = at.document, file = await store.get("files", document.id);
  if (!file) return complain("The file is no longer here; choose it again.");
  if (!sure(document, `Read ${document.name} again`)) return;
  if (document.job) forget(document.job);
  drop(document);
  read([file]);
});

// -- taking away ---------------------------------------------------------------------------

function exported(format) {
  const chosen = $("scope").value === "all" ? places() : [at], ids = [];
  return chosen.flatMap(({ document, page }) => {
    const one = document?.pages[page];
    if (!one?.lines || one.error) return [];
    const lines = one.lines.filter(line => line.reading && (format !== "table" || line.checked && textOf(line).trim()));
    if (format === "table" && !lines.length) return [];
    if (!ids.includes(document.id)) ids.push(document.id);
    return [{ image: one.image, page: one.page, width: one.width, height: one.height,
              document: document.id, file: ids.indexOf(document.id),
              lines: lines.map(line => ({
                ...line.reading, polygon: line.polygon, baseline: line.baseline, text: textOf(line),
                ...line.checked ? { confidence: 1, low_confidence: false, alternatives: [] } : {} })) }];
  });
}

async function download(format) {
  complain("");
  try {
    const pages = exported(format), files = [];
    if (WITH_FILES.includes(format))
      for (const id of new Set(pages.map(one => one.document))) files.push(await store.get("files", id));
    const answer = await write(pages, files, format);
    const ending = /filename="ocr([^"]*)"/.exec(answer.headers.get("Content-Disposition"))?.[1] ?? "";
    // ALTO and PAGE end alike.
    const kind = format === "table" ? "-lines" : ending === ".xml" ? `.${format}` : "";
    const name = at.document.name.replace(/\.\w+$/, "") + kind + ending;
    const link = element("a", { href: URL.createObjectURL(await answer.blob()), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    tell(`${name} was handed to the browser.`);
  } catch (error) {
    complain(error.message);
  }
}

async function copy() {
  const lines = exported("text").flatMap(one => one.lines.map(line => line.text)), text = lines.join("\n");
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
  tell(`Copied ${plural(lines.length, "line")}.`);
}

$("copy").addEventListener("click", copy);
$("scope").addEventListener("change", () => tell());

// -- wiring --------------------------------------------------------------------------------

for (const id of ["file", "photo"])
  $(id).addEventListener("change", event => {
    read([...event.target.files]);
    // So that the same file can be chosen again.
    event.target.value = "";
  });
$("page").addEventListener("change", event => {
  const { document, page } = places()[Number(event.target.value)];
  show(document, page);
});
$("before").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("options").addEventListener("submit", event => event.preventDefault());
for (const id of ["model", "lines"])
  $(id).addEventListener("change", () => localStorage.setItem(`ocr:${id}`, $(id).value));

let depth = 0;
const over = on => $("drop").classList.toggle("over", on);
document.addEventListener("dragenter", () => over(++depth > 0));
document.addEventListener("dragleave", () => over(--depth > 0));
document.addEventListener("dragover", event => event.preventDefault());
document.addEventListener("drop", event => {
  event.preventDefault();
  depth = 0;
  over(false);
  read([...event.dataTransfer.files]);
});
document.addEventListener("paste", event => {
  if (event.clipboardData.files.length) {
    event.preventDefault();
    read([...event.clipboardData.files]);
  }
});
document.addEventListener("keydown", event => {
  const does = event.key === "F2" ? () => list.page && (list.unsure() || tell("No unsure character is left on this page."))
    : !event.altKey ? null
    : { PageDown: () => step(1), PageUp: () => step(-1), KeyB: () => viewer.boxes(),
        Equal: () => $("in").click(), Minus: () => $("out").click(), NumpadAdd: () => $("in").click(),
        NumpadSubtract: () => $("out").click() }[event.code];
  if (!does) return;
  event.preventDefault();
  does();
});

async function begin() {
  try {
    limits = await (await send("info")).json();
  } catch (error) {
    complain(error.message);
    return;
  }
  for (const model of limits.models)
    $("model").append(element("option", { value: model.name }, `${model.name} (version ${model.version})`));
  for (const id of ["model", "lines"]) {
    const kept = localStorage.getItem(`ocr:${id}`);
    if ([...$(id).options].some(option => option.value === kept)) $(id).value = kept;
  }
  if (!limits.finds_lines) $("lines").value = "one";
  for (const option of $("lines").options) option.disabled = !limits.finds_lines && option.value !== "one";
  $("limits").textContent = `${limits.formats.join(", ")}; up to ${Math.floor(limits.max_job_bytes / 2 ** 20)} MiB. ` +
    "The service forgets them in a while; this browser keeps them until you remove them.";
  const broken = limits.models.filter(m => Object.keys(m.failed).length);
  $("served").textContent = broken.length ? `A version cannot be loaded: ${broken.map(m => m.name).join(", ")}.` : "";
  $("formats").replaceChildren(...limits.exports.map(format => {
    const button = element("button", { type: "button", title: format === "table"
      ? "The lines that you checked, as a table with their images, for ocr train" : `Save as ${LABELS[format] ?? format}` },
      LABELS[format] ?? format);
    button.dataset.format = format;
    button.addEventListener("click", () => download(format));
    return button;
  }));
  documents = await store.documents();
  for (const document of documents) {
    store.loadEdits(document);
    // A reload may have come before all pictures were here.
    document.pages.forEach((one, number) => one?.lines && fetchLater(document, number));
    if (document.state === "done") continue;
    if (document.job) watch(document);
    else store.get("files", document.id).then(file => file ? start(document, file) : drop(document));
  }
  const [id, number] = JSON.parse(localStorage.getItem("ocr:at") ?? "[null, 0]");
  const last = documents.find(document => document.id === id) ?? documents[0];
  if (last) show(last, last === documents.find(d => d.id === id) && last.pages[number] ? number : 0, -1);
  document.body.classList.add("ready");
}

begin();
