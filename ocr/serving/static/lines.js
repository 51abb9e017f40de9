// The lines of a page: each one's crop, and a field with what is written there.
import { $, element, percent, plural, points, svg } from "./dom.js";

const UNSURE = 0.7;

export const textOf = line => line.text ?? line.reading?.text ?? "";

// What of a line's text is as it was read: characters at both ends, before and after what a
// person changed. Returns the character that stands at a place of the text, or null.
export function characterAt(line, place) {
  const text = textOf(line), read = line.reading?.text ?? "";
  const characters = line.reading?.characters ?? [];
  if (characters.length !== [...read].length || [...read].length !== read.length) return null;
  let head = 0;
  while (head < Math.min(text.length, read.length) && text[head] === read[head]) head++;
  let tail = 0;
  while (tail < Math.min(text.length, read.length) - head &&
         text[text.length - 1 - tail] === read[read.length - 1 - tail]) tail++;
  if (place < head) return characters[place];
  if (place >= text.length - tail && place < text.length)
    return characters[place - text.length + read.length];
  return null;
}

// A line's part of the page: turned upright, its neighbours faint.
function cropOf(line, page, url, index) {
  const [[x0, y0], [x1, y1]] = [line.baseline[0], line.baseline.at(-1)];
  const angle = x1 > x0 ? Math.atan2(y1 - y0, x1 - x0) : 0, [c, s] = [Math.cos(angle), Math.sin(angle)];
  const turned = line.polygon.map(([x, y]) => [x * c + y * s, y * c - x * s]);
  const [xs, ys] = [turned.map(p => p[0]), turned.map(p => p[1])];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const picture = () => svg("image", { width: page.width, height: page.height, preserveAspectRatio: "none",
                                       ...url ? { href: url } : {} });
  const own = picture(), clip = `line-${index}`;
  own.setAttribute("clip-path", `url(#${clip})`);
  const crop = svg("svg", { viewBox: `${left} ${top} ${width} ${height}` },
    svg("g", { transform: `rotate(${-angle * 180 / Math.PI})` },
      svg("clipPath", { id: clip }, svg("polygon", { points: points(line.polygon) })),
      svg("g", { opacity: 0.25 }, picture()), own));
  return { crop, shape: width / Math.max(height, 1) };
}

// What another reading has that the first has not, with the words around left out.
function difference(text, other) {
  const [a, b] = [text.split(" "), other.split(" ")];
  let head = 0, tail = 0;
  while (head < Math.min(a.length, b.length) - 1 && a[head] === b[head]) head++;
  while (tail < Math.min(a.length, b.length) - head - 1 && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  // A word that was left out shows between its neighbours.
  if (b.length - head - tail < 1 || a.length - head - tail !== b.length - head - tail) head = Math.max(0, head - 1);
  return (head ? "… " : "") + b.slice(head, b.length - tail).join(" ") + (tail ? " …" : "");
}

const classOf = share => share < 0.5 ? "c0" : share < UNSURE ? "c1" : share < 0.9 ? "c2" : "";

export class LineList {
  // `on.choose(index)`, `on.change(index)` and `on.caret(character or null)` are told.
  constructor(on) {
    this.on = on;
    this.page = null;
    this.current = -1;
    $("list").addEventListener("keydown", event => this.key(event));
    document.addEventListener("selectionchange", () => this.caret());
  }

  show(page, url) {
    this.page = page;
    this.url = url;
    this.current = -1;
    $("list").replaceChildren(...page.lines.map((line, index) => this.row(line, index)));
    page.lines.forEach((_, index) => this.update(index));
  }

  picture(url) {
    this.url = url;
    for (const image of $("list").querySelectorAll("image")) image.setAttribute("href", url);
  }

  item(index) { return $("list").children[index]; }
  field(index) { return this.item(index)?.querySelector("textarea"); }

  row(line, index) {
    const { crop, shape } = cropOf(line, this.page, this.url, index);
    const frame = element("div", { className: "crop" }, crop);
    frame.style.setProperty("--shape", shape);
    const field = element("textarea", { rows: 1, spellcheck: false, autocapitalize: "off",
                                        autocomplete: "off" });
    field.setAttribute("aria-label", `Line ${index + 1}`);
    const check = element("button", { type: "button", className: "check", tabIndex: -1,
                                      title: "Checked" }, "✓");
    const item = element("li", {},
      element("span", { className: "number" }, String(index + 1)),
      frame,
      element("div", { className: "field" }, element("div", { className: "marks", ariaHidden: "true" }), field),
      element("span", { className: "share" }), check,
      element("div", { className: "others", hidden: true }));
    field.addEventListener("focus", () => this.choose(index));
    field.addEventListener("input", () => this.edit(index, field.value));
    check.addEventListener("click", () => this.check(index, !line.checked));
    frame.addEventListener("click", () => this.focus(index));
    return item;
  }

  // Show what is known of a line.
  update(index) {
    const line = this.page.lines[index], item = this.item(index), field = this.field(index);
    const text = textOf(line), read = line.reading;
    if (field.value !== text) field.value = text;
    field.readOnly = !read;
    field.placeholder = read ? "nothing read" : "reading …";
    item.classList.toggle("low", !!read?.low_confidence && !line.checked);
    item.classList.toggle("checked", !!line.checked);
    item.querySelector(".check").setAttribute("aria-pressed", String(!!line.checked));
    const share = item.querySelector(".share");
    share.textContent = read && !line.checked ? percent(read.confidence) + (read.low_confidence ? " ⚠" : "") : "";
    share.title = read ? `Confidence of the line ${percent(read.confidence)}` : "";
    // The same text behind the field: a colour and a kind of underline for unsure characters.
    item.querySelector(".marks").replaceChildren(...[...text].map((c, at) => {
      const known = line.checked ? null : characterAt(line, at), kind = known && classOf(known.confidence);
      return kind ? element("mark", { className: kind }, c) : c;
    }), "\u200b");
    if (index === this.current) this.alternatives(index);
  }

  alternatives(index) {
    const line = this.page.lines[index], box = this.item(index).querySelector(".others");
    const others = line.reading?.alternatives ?? [];
    box.hidden = !others.length;
    box.replaceChildren(...(others.length ? [line.reading, ...others] : []).slice(0, 10).map((other, number) => {
      const button = element("button", { type: "button", tabIndex: -1, ariaLabel: other.text,
                                         title: `Alt + ${number}, ${percent(other.confidence)}: ${other.text}` },
        element("kbd", {}, String(number)),
        number ? difference(line.reading.text, other.text) || "(nothing)" : "as read");
      button.setAttribute("aria-pressed", String(other.text === textOf(line)));
      button.addEventListener("click", () => this.take(index, number));
      return button;
    }));
  }

  edit(index, text) {
    const line = this.page.lines[index];
    // One line: what is pasted may have several.
    line.text = text.replace(/[\r\n\t]+/g, " ");
    line.checked = true;
    this.update(index);
    this.on.change(index);
    this.caret();
  }

  take(index, number) {
    const line = this.page.lines[index];
    const other = number ? line.reading?.alternatives[number - 1] : line.reading;
    if (!other) return;
    this.edit(index, other.text);
    this.focus(index);
  }

  check(index, on = true) {
    const line = this.page.lines[index];
    if (!line.reading) return;
    line.checked = on;
    this.update(index);
    this.on.change(index);
  }

  choose(index) {
    if (index === this.current) return;
    const before = this.item(this.current);
    before?.classList.remove("on");
    if (before) {
      before.querySelector(".others").hidden = true;
      before.querySelector(".spot")?.remove();
    }
    this.current = index;
    this.item(index).classList.add("on");
    this.alternatives(index);
    this.on.choose(index);
  }

  focus(index) {
    const field = this.field(index);
    if (!field) return;
    field.focus({ preventScroll: true });
    this.choose(index);
    this.item(index).scrollIntoView({ block: "nearest" });
  }

  // Show where the caret is: on the image, and in the crop where that is wider than its frame.
  caret() {
    const field = document.activeElement;
    if (!this.page || field !== this.field(this.current)) return;
    const line = this.page.lines[this.current], frame = this.item(this.current).querySelector(".crop");
    const crop = frame.firstChild.firstChild;
    const known = characterAt(line, field.selectionStart) ?? characterAt(line, field.selectionStart - 1);
    crop.querySelector(".spot")?.remove();
    if (known) crop.append(svg("polygon", { class: "spot", points: points(known.polygon) }));
    const share = known ? (known.box[0] - line.box[0]) / Math.max(line.box[2] - line.box[0], 1)
      : field.selectionStart / Math.max(field.value.length, 1);
    frame.scrollLeft = share * frame.scrollWidth - frame.clientWidth / 2;
    this.on.caret(known);
  }

  // Select the next unsure character, from the caret on through all lines and around.
  unsure() {
    const count = this.page.lines.length, first = Math.max(this.current, 0);
    for (let step = 0; step <= count; step++) {
      const index = (first + step) % count, line = this.page.lines[index], text = textOf(line);
      if (line.checked) continue;
      const field = this.field(index);
      for (let at = step || field !== document.activeElement ? 0 : field.selectionEnd; at < text.length; at++)
        if ((characterAt(line, at)?.confidence ?? 1) < UNSURE) {
          this.focus(index);
          field.setSelectionRange(at, at + 1);
          return true;
        }
    }
    return false;
  }

  key(event) {
    const index = this.current;
    if (event.target !== this.field(index) || event.isComposing) return;
    const go = to => {
      const field = this.field(Math.min(Math.max(to, 0), this.page.lines.length - 1));
      if (!field || to === index) return;
      this.focus([...$("list").children].indexOf(field.closest("li")));
      field.setSelectionRange(0, 0);
    };
    if (event.altKey && /^(Digit|Numpad)\d$/.test(event.code)) this.take(index, Number(event.code.slice(-1)));
    else if (event.altKey || event.ctrlKey || event.metaKey) return;
    else if (event.key === "Enter" && event.shiftKey) go(index - 1);
    else if (event.key === "Enter") {
      this.check(index);
      go(index + 1);
    } else if (event.key === "ArrowDown") go(index + 1);
    else if (event.key === "ArrowUp") go(index - 1);
    else return;
    event.preventDefault();
  }

  summary() {
    const lines = this.page.lines, read = lines.filter(line => line.reading).length;
    const low = lines.filter(line => line.reading?.low_confidence && !line.checked).length;
    const checked = lines.filter(line => line.checked).length;
    return (read < lines.length ? `${read} of ${plural(lines.length, "line")} read` : plural(read, "line")) +
      (checked ? `, ${checked} checked` : "") + (low ? `, ${low} unsure` : "");
  }
}
