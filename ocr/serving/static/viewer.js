// The image: zoom, pan, outlines of the lines, the current line in sight.
import { $, points, svg } from "./dom.js";

const STEP = 1.25, MOST = 12;

export class Viewer {
  // `onChoose` is told the line whose outline was clicked.
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.page = null;
    this.scale = this.least = 1;
    this.x = this.y = 0;
    this.pointers = new Map();
    const view = $("view");
    view.addEventListener("wheel", event => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? STEP : 1 / STEP, event.offsetX, event.offsetY, event);
    }, { passive: false });
    view.addEventListener("pointerdown", event => this.down(event));
    view.addEventListener("pointermove", event => this.move(event));
    for (const kind of ["pointerup", "pointercancel"])
      view.addEventListener(kind, event => this.up(event));
    view.addEventListener("keydown", event => this.key(event));
    $("in").addEventListener("click", () => this.zoom(STEP));
    $("out").addEventListener("click", () => this.zoom(1 / STEP));
    $("fit").addEventListener("click", () => this.fit());
    $("boxes").addEventListener("click", () => this.boxes());
    if (localStorage.getItem("ocr:boxes") === "off") this.boxes();
    new ResizeObserver(() => this.page && (this.scale <= this.least ? this.fit() : this.place()))
      .observe(view);
  }

  show(page, url) {
    this.page = page;
    const image = $("image");
    if (url) image.src = url;
    else image.removeAttribute("src");
    $("view").setAttribute("aria-label", page.image + (page.page ? `, page ${page.page}` : ""));
    $("overlay").setAttribute("viewBox", `0 0 ${page.width} ${page.height}`);
    $("overlay").replaceChildren(...page.lines.map((line, index) => {
      const outline = svg("polygon", { points: points(line.polygon) });
      outline.addEventListener("click", () => { if (!this.dragged) this.onChoose(index); });
      return outline;
    }));
    page.lines.forEach((_, index) => this.mark(index));
    this.fit();
  }

  // Show the picture once it has arrived.
  picture(url) { $("image").src = url; }

  mark(index) {
    const line = this.page.lines[index], outline = $("overlay").children[index];
    outline?.classList.toggle("low", !!line.reading?.low_confidence && !line.checked);
    outline?.classList.toggle("checked", !!line.checked);
  }

  choose(index) {
    [...$("overlay").children].forEach((one, i) => one.classList.toggle("on", i === index));
    const line = this.page?.lines[index];
    if (line) this.follow(line.box);
  }

  // The character at the caret.
  spot(character) {
    $("overlay").querySelector(".spot")?.remove();
    if (character)
      $("overlay").append(svg("polygon", { class: "spot", points: points(character.polygon) }));
  }

  boxes() {
    const on = $("sheet").classList.toggle("bare") === false;
    $("boxes").setAttribute("aria-pressed", String(on));
    localStorage.setItem("ocr:boxes", on ? "on" : "off");
  }

  fit() {
    const view = $("view");
    if (!this.page) return;
    this.scale = this.least = Math.min(view.clientWidth / this.page.width,
                                       view.clientHeight / this.page.height);
    this.x = this.y = 0;
    this.place();
  }

  zoom(factor, x = $("view").clientWidth / 2, y = $("view").clientHeight / 2, event = null) {
    if (!this.page) return;
    if (event) {
      // The offset is the child's that was hit.
      const frame = $("view").getBoundingClientRect();
      [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    }
    const scale = Math.min(Math.max(this.scale * factor, this.least), this.least * MOST);
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale;
    this.place();
  }

  // Bring a box into sight; its beginning when it is wider than the view.
  follow([left, top, right, bottom]) {
    const view = $("view"), margin = 24;
    const [a, b] = [left * this.scale + this.x, right * this.scale + this.x];
    if (b - a > view.clientWidth - margin || a < margin) this.x += margin - a;
    else if (b > view.clientWidth - margin) this.x += view.clientWidth - margin - b;
    const middle = (top + bottom) / 2 * this.scale;
    if (top * this.scale + this.y < margin || bottom * this.scale + this.y > view.clientHeight - margin)
      this.y = view.clientHeight / 2 - middle;
    this.place();
  }

  place() {
    const view = $("view"), sheet = $("sheet");
    const inside = (at, size, room) => size <= room ? (room - size) / 2
      : Math.min(0, Math.max(room - size, at));
    const [width, height] = [this.page.width * this.scale, this.page.height * this.scale];
    this.x = inside(this.x, width, view.clientWidth);
    this.y = inside(this.y, height, view.clientHeight);
    sheet.style.width = `${width}px`;
    sheet.style.height = `${height}px`;
    sheet.style.transform = `translate(${this.x}px, ${this.y}px)`;
  }

  down(event) {
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size === 1) this.dragged = false;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.page) return;
    const now = [event.clientX, event.clientY];
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    if (!this.dragged && Math.hypot(now[0] - before[0], now[1] - before[1]) < 4 && !others.length)
      return;
    if (!this.dragged) {
      this.dragged = true;
      $("view").setPointerCapture(event.pointerId);
    }
    this.pointers.set(event.pointerId, now);
    if (others.length) {
      const [[, other]] = others, frame = $("view").getBoundingClientRect();
      const far = p => Math.max(1, Math.hypot(p[0] - other[0], p[1] - other[1]));
      this.zoom(far(now) / far(before), (now[0] + other[0]) / 2 - frame.left,
                (now[1] + other[1]) / 2 - frame.top);
    } else {
      this.x += now[0] - before[0];
      this.y += now[1] - before[1];
      this.place();
    }
  }

  up(event) { this.pointers.delete(event.pointerId); }

  key(event) {
    const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60],
                   ArrowDown: [0, -60] }[event.key];
    if (move) {
      this.x += move[0];
      this.y += move[1];
      if (this.page) this.place();
    } else if (event.key === "+" || event.key === "=") this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }
}
